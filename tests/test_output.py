"""A build's folder: whole or not at all."""

import pytest

from ionspike.boards.errors import OutputError
from ionspike.boards.output import MANIFEST, replacing


def build(folder, text="{}"):
    with replacing(folder) as partial:
        (partial / MANIFEST).write_text(text)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_build_replaces_an_earlier_one(tmp_path):
    build(tmp_path / "out", "1")
    (tmp_path / "out" / "stale").touch()
    build(tmp_path / "out", "2")
    assert visible(tmp_path) == ["out"] and visible(tmp_path / "out") == [MANIFEST]
    assert (tmp_path / "out" / MANIFEST).read_text() == "2"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_interrupted_leaves_what_was_there(tmp_path, error):
    build(tmp_path / "out", "1")
    with pytest.raises(error), replacing(tmp_path / "out") as partial:
        (partial / MANIFEST).write_text("2")
        raise error
    assert visible(tmp_path) == ["out"] and (tmp_path / "out" / MANIFEST).read_text() == "1"
    with pytest.raises(error), replacing(tmp_path / "new"):
        raise error
    assert visible(tmp_path) == ["out"]


def test_two_builds_of_one_folder_refuse(tmp_path):
    with replacing(tmp_path / "out") as partial:
        (partial / MANIFEST).touch()
        with pytest.raises(OutputError, match="another build is writing .*out"):
            build(tmp_path / "out")
    build(tmp_path / "out")


def test_a_killed_build_is_cleared_away(tmp_path):
    left = tmp_path / ".out.partial"
    left.mkdir()
    (left / "half").touch()
    build(tmp_path / "out")
    assert visible(tmp_path) == ["out"] and visible(tmp_path / "out") == [MANIFEST]


def test_foreign_folders_and_files_are_not_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name in ("thesis", "file"):
        with pytest.raises(OutputError, match="is not an earlier build"):
            build(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "words"
    build(tmp_path / "empty")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file/out cannot be written"):
        build(tmp_path / "file" / "out")
