"""The workspace: files of one thread, and no way out of it."""

import os
from pathlib import Path

import pytest
from lead_agent.config import Config

from tests.integration.example.talking import Graph, Thread

OUTSIDE = [
    "../secret",
    "drafts/../../secret",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a//b",
    "a/",
    "~/x",
    ".hidden",
    "a/.b",
    "a\\b",
]
ODD = ["a\0b", "a\n", "-rf", "x" * 201, "/".join("abcdefghi"), "café\u202e.md"]


def folder(config: Config, thread: Thread) -> Path:
    """Where the thread's files are."""
    return config.workspace.root / thread.id


def test_write_read_edit_list_delete(thread: Thread, config: Config) -> None:
    """A file's life."""
    assert thread.use("list_files").text == "There are no files yet."
    assert thread.use("write_file", path="notes/ä.md", content="one two").text == "Wrote notes/ä.md (7 bytes)."
    assert thread.use("edit_file", path="notes/ä.md", old="two", new="drei").text == "Edited notes/ä.md."
    assert thread.use("read_file", path="notes/ä.md").text == "one drei"
    assert thread.use("list_files").text == "notes/ä.md (8 bytes)"
    assert (folder(config, thread) / "notes" / "ä.md").read_text() == "one drei"
    assert thread.use("delete_file", path="notes/ä.md").text == "Deleted notes/ä.md."
    assert thread.use("read_file", path="notes/ä.md").text == "There is no file notes/ä.md"


def test_doing_it_again_changes_nothing(thread: Thread) -> None:
    """A worker that takes over may repeat a call; the outcome is the same and no error."""
    for _ in range(2):
        assert thread.use("write_file", path="drafts/a.md", content="one").status == "success"
    for _ in range(2):
        assert thread.use("edit_file", path="drafts/a.md", old="one", new="two").status == "success"
    assert thread.use("read_file", path="drafts/a.md").text == "two"
    assert [thread.use("delete_file", path="drafts/a.md").text for _ in range(2)] == [
        "Deleted drafts/a.md.",
        "drafts/a.md is gone already.",
    ]


@pytest.mark.parametrize(("old", "said"), [("x", "2 times"), ("z", "0 times"), ("", "Say which")])
def test_an_edit_has_one_place(thread: Thread, old: str, said: str) -> None:
    """A text that is there twice, never, or empty is refused and nothing is changed."""
    thread.use("write_file", path="drafts/a.md", content="x x")
    answer = thread.use("edit_file", path="drafts/a.md", old=old, new="y")
    assert answer.status == "error"
    assert said in answer.text
    assert thread.use("read_file", path="drafts/a.md").text == "x x"


@pytest.mark.parametrize("path", [*OUTSIDE, *ODD])
def test_paths_that_lead_out(thread: Thread, config: Config, path: str) -> None:
    """No spelling of a path reaches outside the thread's folder, for reading, writing or deleting."""
    config.workspace.root.mkdir()
    (config.workspace.root / "secret").write_text("treasure")
    for name, arguments in [("read_file", {}), ("write_file", {"content": "mine"}), ("delete_file", {})]:
        answer = thread.use(name, path=path, **arguments)
        assert answer.status == "error", name
        assert "treasure" not in answer.text
    assert (config.workspace.root / "secret").read_text() == "treasure"
    assert not folder(config, thread).exists()


@pytest.mark.parametrize("path", ["link.md", "linked/secret"])
def test_links_lead_nowhere(thread: Thread, config: Config, tmp_path: Path, path: str) -> None:
    """A link, to a file or a folder, is never followed, wherever it comes from."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("treasure")
    folder(config, thread).mkdir(parents=True)
    (folder(config, thread) / "link.md").symlink_to(outside / "secret")
    (folder(config, thread) / "linked").symlink_to(outside, target_is_directory=True)
    assert thread.use("read_file", path=path).status == "error"
    assert thread.use("list_files").text == "There are no files yet."
    thread.use("write_file", path=path, content="mine")
    thread.use("delete_file", path=path)
    assert (outside / "secret").read_text() == "treasure"
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_linked_thread_folder(thread: Thread, config: Config, tmp_path: Path) -> None:
    """Nor does a link in place of the thread's folder lead anywhere."""
    config.workspace.root.mkdir()
    folder(config, thread).symlink_to(tmp_path, target_is_directory=True)
    for name, arguments in [
        ("list_files", {}),
        ("read_file", {"path": "x"}),
        ("write_file", {"path": "x", "content": ""}),
    ]:
        assert thread.use(name, **arguments).status == "error", name
    assert not (tmp_path / "x").exists()


def test_only_files_are_read(thread: Thread, config: Config) -> None:
    """A pipe does not hold up the worker; a folder is not a file."""
    thread.use("write_file", path="drafts/a.md", content="")
    os.mkfifo(folder(config, thread) / "pipe")
    assert thread.use("read_file", path="pipe").text == "pipe is not a file"
    assert thread.use("read_file", path="drafts").status == "error"
    assert thread.use("delete_file", path="drafts").status == "error"
    assert thread.use("write_file", path="drafts", content="").status == "error"
    assert thread.use("list_files").text == "drafts/a.md (0 bytes)"


def test_sizes_are_bounded(thread: Thread, config: Config) -> None:
    """Bytes are counted, not characters; the bound itself is allowed; what is too large is not read either."""
    assert thread.use("write_file", path="drafts/a", content="ä" * 500).status == "success"
    assert "at most 1,000 bytes" in thread.use("write_file", path="drafts/a", content="ä" * 501).text
    assert thread.use("read_file", path="drafts/a").text == "ä" * 500
    (folder(config, thread) / "drafts" / "a").write_bytes(b"x" * 1_001)
    assert thread.use("read_file", path="drafts/a").status == "error"


def test_files_are_bounded(thread: Thread) -> None:
    """No more files than allowed; writing one that is there is not one more."""
    for name in "abc":
        assert thread.use("write_file", path=f"drafts/{name}", content="1").status == "success"
    assert "at most 3 files" in thread.use("write_file", path="drafts/d", content="1").text
    assert thread.use("write_file", path="drafts/c", content="2").status == "success"


def test_threads_do_not_see_each_other(graph: Graph) -> None:
    """Two threads have a file of the same name and do not meet."""
    mine, yours = Thread(graph), Thread(graph)
    mine.use("write_file", path="drafts/a.md", content="mine")
    assert yours.use("list_files").text == "There are no files yet."
    yours.use("write_file", path="drafts/a.md", content="yours")
    assert mine.use("read_file", path="drafts/a.md").text == "mine"
    assert mine.use("read_file", path=f"../{yours.id}/drafts/a.md").status == "error"


@pytest.mark.parametrize("thread_id", ["..", "a/b", "", "x\n", "." * 3])
def test_a_thread_id_is_no_path(config: Config, thread_id: str) -> None:
    """A thread of an odd name has no files, rather than somebody else's."""
    from langchain_core.tools import ToolException
    from lead_agent.tools.workspace import Workspace

    with pytest.raises(ToolException, match="belong to a thread"):
        Workspace(thread_id, config.workspace)
