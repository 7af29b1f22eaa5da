"""Clocks per second of the virtual board: bare, with its UART, and while it serves a terminal.

Run: ``python benchmarks/virtual_board.py``. The bar: serving >= 0.7 of bare.
"""

import os
import statistics
import threading
import time

import serial

from ionspike.sim.virtual import DEFAULT_DIVISOR, Model, VirtualBoard, library

ROUNDS = 7
CYCLES = 500_000
BYTES = 20_000


def speed(model, run, *arguments):
    """Million clocks per second of this thread's CPU time, on which other programs weigh less."""
    start = time.thread_time()
    run(*arguments)
    return CYCLES / (time.thread_time() - start) / 1e6


def serve(board, port, data):
    """Million clocks per second while bytes stream, by the CPU time of all but this thread."""
    writer = threading.Thread(target=port.write, args=[data])
    cycles, start = board.model.cycles, time.process_time() - time.thread_time()
    writer.start()
    writer.join()
    port.read(port.in_waiting)
    spent = time.process_time() - time.thread_time() - start
    return (board.model.cycles - cycles) / spent / 1e6


def main():
    path = library(progress=print)
    model = Model(path)
    with VirtualBoard(path) as board, serial.Serial(board.port, timeout=1) as port:
        rows = [(speed(model, model.run_bare, CYCLES), speed(model, model.run, CYCLES),
                 serve(board, port, os.urandom(BYTES))) for _ in range(ROUNDS)]
    bare, line, serving = map(statistics.median, zip(*rows, strict=True))
    ratio = statistics.median(row[2] / row[0] for row in rows)
    print(f"bare     {bare:6.2f} million clocks/s\nwith UART{line:6.2f}\nserving  {serving:6.2f}"
          f"   = {ratio:.2f} of bare (median of {ROUNDS}, {DEFAULT_DIVISOR} clocks a bit)")


if __name__ == "__main__":
    main()
