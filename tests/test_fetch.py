"""Data sets from a server on this machine; the real ones are never asked."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ionspike.host.cli import main
from ionspike.host.errors import InputError
from ionspike.host.fetch import SOURCES, fetch

TRAIN, TEST = (bytes(range(256)) * 3000, b"test" * 999)
FILES = {"shd_train.h5.gz": TRAIN, "shd_test.h5.gz": TEST}


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sums(files=FILES):
    return "".join(f"{md5(data)}  {name}\n" for name, data in files.items()).encode()


@contextmanager
def server(answers, *, cut=None, ranges=True, offset=0):
    """Serves ``answers`` by path; ``cut`` ends files after so many bytes, once."""
    asked, cuts = [], [cut]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            start = self.headers.get("Range")
            asked.append((self.path, start))
            data = answers.get(self.path)
            if data is None:
                return self.send_error(404)
            first = int(start[6:-1]) if start and ranges else 0
            if first > len(data):
                return self.send_error(416)
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range",
                                 f"bytes {first + offset}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - first))
            self.end_headers()
            part = data[first:]
            if cuts[0] is not None and len(part) > cuts[0]:
                part, cuts[0] = part[:cuts[0]], None
            self.wfile.write(part)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/md5sums.txt", asked
        finally:
            http.shutdown()
            thread.join()


def answers(**changed):
    return {"/md5sums.txt": sums(), **{f"/{name}": data for name, data in FILES.items()}, **changed}


def test_sources_are_the_official_ones():
    assert {name: source.listing for name, source in SOURCES.items()} == {
        "shd": "https://zenkelab.org/datasets/md5sums.txt",
        "fsdd": "https://zenodo.org/api/records/1342401"}


def test_files_come_whole_and_are_not_fetched_twice(tmp_path):
    seen = []
    with server(answers()) as (url, asked):
        first = fetch("shd", tmp_path, listing=url, progress=lambda *at: seen.append(at))
        again = fetch("shd", tmp_path, listing=url)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES
    assert [one.was_there for one in first + again] == [False, False, True, True]
    assert [path for path, _ in asked].count("/shd_train.h5.gz") == 1
    assert (len(TRAIN), len(TRAIN)) in seen and len(seen) > 3


def test_what_ends_early_is_resumed_and_was_never_called_whole(tmp_path):
    with server(answers(), cut=300_000) as (url, asked):
        with pytest.raises(InputError, match=r"ended early at 300,000 (of|bytes).* run it again"):
            fetch("shd", tmp_path, listing=url)
        assert [path.name for path in tmp_path.iterdir()] == ["shd_train.h5.gz.part"]
        found = fetch("shd", tmp_path, listing=url)
    assert found[0].resumed_from == 300_000
    assert ("/shd_train.h5.gz", "bytes=300000-") in asked
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


@pytest.mark.parametrize("part", [TRAIN[:1000], TRAIN + b"more", b""])
def test_a_part_is_gone_on_from_or_begun_anew(tmp_path, part):
    (tmp_path / "shd_train.h5.gz.part").write_bytes(part)
    with server(answers(), ranges=len(part) > 1000) as (url, _):
        fetch("shd", tmp_path, listing=url)
    assert (tmp_path / "shd_train.h5.gz").read_bytes() == TRAIN


def test_a_damaged_file_is_not_kept(tmp_path):
    with server(answers(**{"/shd_train.h5.gz": b"x" + TRAIN[1:]})) as (url, _):
        with pytest.raises(InputError, match=f"MD5 is [0-9a-f]+, {md5(TRAIN)} was listed"):
            fetch("shd", tmp_path, listing=url)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "shd_train.h5.gz.part").write_bytes(b"another file's beginning")
    with server(answers()) as (url, _), pytest.raises(InputError, match="run it again"):
        fetch("shd", tmp_path, listing=url)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_was_not_asked_for_is_refused(tmp_path):
    (tmp_path / "shd_train.h5.gz.part").write_bytes(TRAIN[:1000])
    with server(answers(), offset=7) as (url, _), \
            pytest.raises(InputError, match="a part that was not asked for"):
        fetch("shd", tmp_path, listing=url)


def test_a_record_of_zenodo(tmp_path):
    record = {"files": [{"key": "Jakobovski/free-spoken-digit-dataset-v1.0.8.zip",
                         "checksum": f"md5:{md5(TEST)}", "links": {"self": "/files/fsdd.zip"}}]}
    with server({"/md5sums.txt": json.dumps(record).encode(), "/files/fsdd.zip": TEST}) as (url, _):
        found, = fetch("fsdd", tmp_path, listing=url)
    assert found.path == tmp_path / "free-spoken-digit-dataset-v1.0.8.zip"
    assert found.path.read_bytes() == TEST


@pytest.mark.parametrize(("listing", "message"), [
    (b"", "lists no files with MD5"), (b"<html>", "lists no files"), (b'{"files": 3}', "lists no"),
    (b"\xff" * 99, "lists no files"), (b"0" * (1 << 21), "more than 1048576 bytes"),
    (f"{'0' * 32}  ../../evil\n".encode(), "lists no files"),
    (f"{'0' * 32}  other.gz\n".encode(), "does not list shd_train.h5.gz"),
    (json.dumps({"files": [{"key": "shd_train.h5.gz", "checksum": f"md5:{'0' * 32}",
                            "links": {"self": "http://elsewhere.example/x"}}]}).encode(),
     "lists no files")])
def test_lists_that_are_none_are_refused(tmp_path, listing, message):
    with server({"/md5sums.txt": listing}) as (url, _), pytest.raises(InputError, match=message):
        fetch("shd", tmp_path, listing=url)
    assert list(tmp_path.iterdir()) == []


def test_the_verb(tmp_path, capsys):
    with server(answers()) as (url, _):
        assert main(["fetch", "shd", "--output", str(tmp_path), "--source", url, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [file["md5"] for file in said["files"]] == [md5(TRAIN), md5(TEST)]
    assert main(["fetch", "shd", "--output", str(tmp_path), "--source", url]) == 2     # gone
    assert "cannot be fetched" in capsys.readouterr().err
    assert main(["fetch", "shd", "--output", str(tmp_path / "none")]) == 2
    assert main(["fetch", "shd", "--output", str(tmp_path), "--source", "file:///etc/passwd"]) == 2
    assert "begins with https:// or http://" in capsys.readouterr().err
