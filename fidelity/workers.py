"""Work in processes of its own, with progress, that stops when it is told to."""

import queue
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from typing import Any

__all__ = ["Workers"]

#: Between two reports of one task.
_REPORT_S = 0.1
#: For a worker that was told to stop.
_STOP_S = 5.0

Progress = Callable[[int, int], None]
Function = Callable[[Any, Progress], Any]


class _Stopped(Exception):
    pass


class Workers:
    """Runs ``function(task, progress)`` for each task, in order, on some processes.

    Parameters
    ----------
    function : of a module; its results do not depend on which process runs it.
    tasks : what can be pickled.
    processes : how many. None at all, and :meth:`wait` runs the tasks itself.
    progress : called with a task's number, how much of it is done, and of how much.

    Members
    -------
    results : of the tasks that are done, by number.
    """

    def __init__(self, function: Function, tasks: Sequence[Any], processes: int,
                 progress: Callable[[int, int, int], None]):
        self.results: dict[int, Any] = {}
        self._function, self._tasks, self._progress = function, list(tasks), progress
        self._processes: list[Any] = []
        processes = min(processes, len(self._tasks))
        if not processes:
            return
        # Not forked: a board's threads and NumPy's would be left behind.
        context = get_context("spawn")
        self._inbox: Any = context.Queue()
        self._outbox: Any = context.Queue()
        self._stop = context.Event()
        for numbered in enumerate(self._tasks):
            self._inbox.put(numbered)
        for _ in range(processes):
            self._inbox.put(None)
            process = context.Process(target=_work, daemon=True, args=(
                function, self._inbox, self._outbox, self._stop))
            process.start()
            self._processes.append(process)

    @property
    def done(self) -> bool:
        return len(self.results) == len(self._tasks)

    def poll(self) -> None:
        """Take what the processes have to say.

        Raises
        ------
        Exception
            What a task raised; RuntimeError for a process that was killed.
        """
        while self._processes:
            try:
                self._take(self._outbox.get_nowait())
            except queue.Empty:
                break

    def wait(self) -> None:
        """Until all is done; raises what :meth:`poll` does."""
        if not self._processes:
            for number, task in enumerate(self._tasks):
                self.results[number] = self._function(task, partial(self._progress, number))
        while not self.done:
            try:
                self._take(self._outbox.get(timeout=0.2))
            except queue.Empty:
                self._require_alive()

    def _require_alive(self) -> None:
        for process in self._processes:
            if process.exitcode not in (None, 0):
                raise RuntimeError(f"a worker process ended with code {process.exitcode}; "
                                   f"was there enough memory?")

    def _take(self, message: tuple[str, int, Any]) -> None:
        kind, number, value = message
        if kind == "progress":
            self._progress(number, *value)
        elif kind == "error":
            raise value
        else:
            self.results[number] = value

    def close(self) -> None:
        """Stop what is still running."""
        if not self._processes:
            return
        self._stop.set()
        limit_s = time.monotonic() + _STOP_S
        for process in self._processes:
            # What it still has to say is taken, or it could not end.
            while process.is_alive() and time.monotonic() < limit_s:
                try:
                    self._outbox.get(timeout=0.05)
                except queue.Empty:
                    pass
            process.terminate()
            process.join()
        self._processes = []
        for one in (self._inbox, self._outbox):
            one.cancel_join_thread()
            one.close()


def _work(function: Function, inbox: Any, outbox: Any, stop: Any) -> None:
    # Ctrl-C reaches every process of a terminal; the first one tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while (numbered := inbox.get()) is not None and not stop.is_set():
        number, task = numbered
        reported_s = 0.0

        def progress(done: int, of: int, number: int = number) -> None:
            nonlocal reported_s
            now_s = time.monotonic()
            if done == of or now_s - reported_s > _REPORT_S:
                reported_s = now_s
                if stop.is_set():
                    raise _Stopped
                outbox.put(("progress", number, (done, of)))

        try:
            outbox.put(("result", number, function(task, progress)))
        except _Stopped:
            return
        except Exception as error:  # for the first process to raise
            outbox.put(("error", number, error))
            return
