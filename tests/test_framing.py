import random
import zlib

import pytest

from ionspike.host.framing import (
    Ack,
    Deframer,
    Frame,
    FrameError,
    cobs_decode,
    cobs_encode,
    pack,
    pack_ack,
    parse,
    parse_ack,
)
from ionspike.spec.wire import FRAME_OVERHEAD, PAYLOAD_BYTES, Kind, Nack


@pytest.mark.parametrize("data, encoded", [
    ("", "01"), ("00", "0101"), ("0000", "010101"), ("11 22 00 33", "03 11 22 02 33"),
    ("11 00 00 00", "02 11 01 01 01"),
])
def test_cobs_known_answers(data, encoded):
    assert cobs_encode(bytes.fromhex(data)) == bytes.fromhex(encoded)
    assert cobs_decode(bytes.fromhex(encoded)) == bytes.fromhex(data)


def test_cobs_round_trip():
    rng = random.Random(1)
    for size in range(254):
        data = bytes(rng.choice((0, rng.randrange(256))) for _ in range(size))
        encoded = cobs_encode(data)
        assert 0 not in encoded and len(encoded) == size + 1
        assert cobs_decode(encoded) == data


def test_cobs_limits():
    with pytest.raises(ValueError, match="254 bytes do not fit one COBS block of 253"):
        cobs_encode(bytes(254))
    for block in ("05 11", "03 11", "02 00", "00"):
        with pytest.raises(FrameError, match="points beyond its end"):
            cobs_decode(bytes.fromhex(block))


def test_frame_is_what_the_contract_says():
    body = bytes([Kind.DATA, 7]) + b"\0payload"
    crc = zlib.crc32(body).to_bytes(4, "little")
    assert pack(Kind.DATA, 7, b"\0payload") == cobs_encode(body + crc) + b"\0"
    assert len(pack(Kind.DATA, 0, bytes(PAYLOAD_BYTES))) == PAYLOAD_BYTES + FRAME_OVERHEAD
    with pytest.raises(ValueError, match="a payload of 225 bytes, 224 fit a frame"):
        pack(Kind.DATA, 0, bytes(PAYLOAD_BYTES + 1))


def test_parse_errors():
    good = pack(Kind.DATA, 1, b"abc")[:-1]
    assert parse(good) == Frame(Kind.DATA, 1, b"abc")
    with pytest.raises(FrameError, match="CRC is 0x[0-9a-f]{8}, should be 0x[0-9a-f]{8}"):
        parse(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(FrameError, match="233 bytes without a delimiter, a frame has at most 231"):
        parse(bytes(233))
    with pytest.raises(FrameError, match="4 bytes, a frame has at least 6"):
        parse(cobs_encode(bytes(4)))
    with pytest.raises(FrameError, match="kind 0x09 is not one of OPEN, HELLO, DATA, ACK"):
        parse(pack(9, 1)[:-1])


def test_ack():
    for ack in (Ack(5, 0x1234, Nack.GAP), Ack(5, 0, Nack.OK), Ack(5, None, Nack.OK)):
        assert parse_ack(parse(pack_ack(*ack)[:-1])) == ack
    assert len(pack_ack(5)) == FRAME_OVERHEAD
    with pytest.raises(ValueError, match="an ACK with reason GAP needs a limit"):
        pack_ack(5, None, Nack.GAP)
    with pytest.raises(FrameError, match="payload 01 02 is not that of an ACK"):
        parse_ack(Frame(Kind.ACK, 0, b"\1\2"))
    with pytest.raises(FrameError, match="payload 00 00 09 is not that of an ACK"):
        parse_ack(Frame(Kind.ACK, 0, b"\0\0\x09"))


def test_deframer_takes_any_cuts():
    rng = random.Random(2)
    frames = [Frame(Kind.DATA, k & 255, rng.randbytes(rng.randrange(PAYLOAD_BYTES + 1)))
              for k in range(300)]
    line = b"".join(pack(*frame) for frame in frames)
    deframer, got, at = Deframer(), [], 0
    while at < len(line):
        size = rng.choice((1, 2, 7, 300, 5000))
        got += deframer.feed(line[at:at + size])
        at += size
    assert got == frames and deframer.errors == 0


def test_deframer_finds_frames_between_garbage():
    rng = random.Random(3)
    deframer, found, broken = Deframer(), 0, 0
    for k in range(2000):
        garbage = bytes(rng.randrange(1, 256) for _ in range(rng.randrange(400)))
        if garbage:
            broken += 1
            assert deframer.feed(garbage + b"\0") == []
        found += deframer.feed(pack(Kind.DATA, k & 255)) == [Frame(Kind.DATA, k & 255)]
    assert (found, deframer.errors) == (2000, broken)


def test_deframer_forgets_what_never_ends():
    deframer = Deframer()
    for _ in range(100):
        assert deframer.feed(b"\x55" * 10000) == []
    assert len(deframer._partial) < 300
    assert deframer.feed(b"\0" + pack(Kind.OPEN, 0)) == [Frame(Kind.OPEN, 0)]
    assert deframer.errors == 1
    assert "232 bytes without a delimiter" in str(deframer.last_error)
