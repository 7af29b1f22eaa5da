"""The conversation in docs/protocol.md; ``python tests/test_protocol.py`` writes it anew."""

import re
from pathlib import Path

from ionspike.host.codec import echo, mark
from ionspike.host.framing import Deframer, pack, pack_ack, parse_ack
from ionspike.sim.golden import GoldenPort
from ionspike.spec.wire import HELLO, Kind, Nack, Op, Report

DOCUMENT = Path(__file__).parent.parent / "docs" / "protocol.md"
BLOCK = re.compile(r"(?<=<!-- conversation -->\n```text\n).*?(?=```)", re.DOTALL)


def told(frame):
    """A frame in words."""
    text = f"{Kind(frame.kind).name} {frame.seq}"
    if frame.kind == Kind.ACK:
        ack = parse_ack(frame)
        return text + ("" if ack.limit is None else f", limit {ack.limit}, {ack.reason.name}")
    return f"{text}, {len(frame.payload)} bytes"


def lines(arrow, data):
    """A run of bytes, a frame at a time, with its meaning."""
    for block in data.split(b"\0")[:-1]:
        frames = Deframer().feed(block + b"\0")
        meaning = told(frames[0]) if frames else "corrupt" if block else "nothing"
        words = [f"{byte:02x}" for byte in block + b"\0"]
        for at in range(0, len(words), 16):
            yield f"{arrow} {' '.join(words[at:at + 16]):<47}  {meaning}".rstrip()
            arrow, meaning = " ", ""


def conversation():
    port = GoldenPort()
    text = []

    def say(*frames):
        for frame in frames:
            text.extend(lines(">", frame))
            port.write(frame)
        text.extend(lines("<", port.read(port.in_waiting)))

    greeting, question = pack(Kind.DATA, 0, echo(b"ions")), pack(Kind.DATA, 1, mark(7))
    flipped = bytearray(question)
    flipped[5] ^= 0x10
    say(b"\0" + pack(Kind.OPEN, 0, b"\x34\x12"))
    say(pack_ack(0, 0x6000))
    say(greeting)
    say(pack_ack(1))
    say(bytes(flipped))
    say(question)
    say(pack_ack(2))
    return "\n".join(text) + "\n"


def test_conversation_is_current():
    text = conversation()
    assert BLOCK.search(DOCUMENT.read_text()).group() == text
    assert "CORRUPT" in text and text.count("ACK") == 7


def test_tables_are_those_of_the_contract():
    text = DOCUMENT.read_text()
    codes = re.findall(r"^\| `([0-9a-f]{2})` ([A-Z]+) \|", text, re.MULTILINE)
    assert codes == [(f"{code:02x}", code.name) for table in (Kind, Nack, Op, Report)
                     for code in table]
    fields = text[text.index("HELLO has"):text.index("Hosts refuse")]
    assert re.findall(r"`(\w+)` (?:4 x )?u", fields) == [name for name, _ in HELLO]


if __name__ == "__main__":
    DOCUMENT.write_text(BLOCK.sub(lambda _: conversation(), DOCUMENT.read_text()))
