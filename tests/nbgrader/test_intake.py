"""What of a submission is taken in: regular files of its own, from folders of any name, with any time."""

import inspect
import os
import shutil
import socket
from hashlib import sha256
from pathlib import Path

import nbformat
import pytest
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory

from autograder.nbgrader import configure, intake
from autograder.nbgrader.course_files import Course
from autograder.nbgrader.handed_at import handed_at
from autograder.nbgrader.handed_in import submissions
from autograder.nbgrader.intake import MAXIMUM, Maximum, NotAFolder, take_in
from autograder.reports import Verdict, VerdictKind
from tests.conftest import ASSIGNMENT, SAMPLES, make_course
from tests.support.forked_command import run

NAME = f"{ASSIGNMENT}.ipynb"
SECRET = "a-secret-of-the-course"


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """A submission's folder, with a file of its own, in a course that has a secret."""
    (tmp_path / ".course-secret").write_text(SECRET)
    folder = tmp_path / "submitted" / "ann" / ASSIGNMENT
    folder.mkdir(parents=True)
    (folder / "own.py").write_text("own = 1\n")
    return folder


def taken(folder: Path) -> tuple[set[str], str]:
    """The names of what is taken in of a submission, and the note on the rest."""
    target = folder.parents[2] / "taken-in"
    note = take_in(folder, target, ["mlruns", "*.db"])
    return {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}, note


@pytest.mark.parametrize(
    "target", ["../../../.course-secret", "/etc/passwd", "/nowhere", "/dev/zero", "..", "/", "own.py", "self"]
)
def test_a_link_is_left_behind_wherever_it_points(handed_in: Path, target: str) -> None:
    (handed_in / "self").symlink_to(target)
    assert taken(handed_in) == ({"own.py"}, "left behind of what was handed in: self (it is a link)")


def test_pipes_sockets_devices_and_hard_links_are_left_behind(handed_in: Path) -> None:
    os.mkfifo(handed_in / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(handed_in)
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
    os.link(handed_in.parents[2] / ".course-secret", handed_in / "hard")
    names, note = taken(handed_in)
    assert names == {"own.py"}
    for words in ("pipe (it is a pipe)", "socket (it is a socket)", "hard (it is a hard link)"):
        assert words in note


@pytest.mark.parametrize("name", [b"two\nlines", b"\x1b[2Jclear", b"\xff\xfe", "a\u202ecod.exe".encode()])
def test_a_name_that_would_not_show_is_written_out(handed_in: Path, name: bytes) -> None:
    (handed_in / os.fsdecode(name)).write_text("x")
    names, note = taken(handed_in)
    assert names == {"own.py"}
    assert note.isprintable()
    assert "its name has characters that cannot be printed" in note


@pytest.mark.parametrize(
    "name", ["山田　太郎.csv", "Screenshot 1.00\u202fPM.png", "می‌خواهم.txt", "[a] & 'b' #%.py"]
)
def test_names_in_any_script_are_taken_in(handed_in: Path, name: str) -> None:
    (handed_in / name).write_text("x")
    assert taken(handed_in) == ({"own.py", name}, "")


def test_a_folder_that_is_a_link_is_not_entered(handed_in: Path, tmp_path: Path) -> None:
    for student, target in (("ben", handed_in), ("cem", tmp_path)):
        (tmp_path / "submitted" / student).mkdir()
        (tmp_path / "submitted" / student / ASSIGNMENT).symlink_to(target)
    (tmp_path / "submitted" / "dia").symlink_to(handed_in.parent)
    (tmp_path / "submitted" / "eve").mkdir()
    (tmp_path / "submitted" / "eve" / ASSIGNMENT).write_text("no folder")
    for student in ("ben", "cem", "dia", "eve"):
        with pytest.raises(NotAFolder, match="its folder is a link or a file"):
            take_in(tmp_path / "submitted" / student / ASSIGNMENT, tmp_path / "taken-in", [])
    assert not (tmp_path / "taken-in").exists()


def test_number_size_and_depth_have_a_maximum_and_the_notebook_comes_first(
    handed_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAXIMUM", Maximum(12, 1000, 2500, depth=3, own_names_only=True))
    (handed_in / "z").mkdir()
    (handed_in / "z" / NAME).write_text("{}")
    (handed_in / "large").write_bytes(bytes(1001))
    for number in range(3):
        (handed_in / f"part{number}").write_bytes(bytes(1000))
    (handed_in / "deep" / "er" / "and" / "deeper").mkdir(parents=True)
    for number in range(9):
        (handed_in / ".venv" / f"n{number}").mkdir(parents=True)
    note = take_in(handed_in, tmp_path / "taken-in", [], tmp_path / "notebooks")
    assert (tmp_path / "notebooks" / "z" / NAME).is_file()
    assert (tmp_path / "taken-in" / "own.py").is_file()
    for words in (
        "large (it is larger than 1e+03 bytes)",
        "part2 (all files together are larger than 2.44 KiB)",
        "deep/er/and/deeper (it is too deep)",
        ".venv/n1 (there are more than 12 files)",
    ):
        assert words in note, note


def test_no_more_than_five_are_named(handed_in: Path) -> None:
    for number in range(8):
        (handed_in / f"link{number}").symlink_to("own.py")
    _, note = taken(handed_in)
    assert note.count("(it is a link)") == 5
    assert note.endswith(" and 3 more")


def test_a_file_that_grows_without_end_is_cut_off(handed_in: Path) -> None:
    with (handed_in / "sparse").open("wb") as file:
        file.truncate(MAXIMUM.file_size + 1)
    names, note = taken(handed_in)
    assert names == {"own.py"}
    assert "sparse (it is larger than 64 MiB)" in note


# One class for what nbgrader has to be run for: it takes seconds a submission.

STUDENTS = ("O'Brien", "a&b", "50% #1?")
#: Theirs is an empty file, which takes no run.
EMPTY = ("Doe, Jane", "山田　太郎", "ann[1]")
REFUSED = {"<script>": "_script_", 'a"b': "a_b", "two\nlines": "two_lines", "back\\slash": "back_slash"}


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graded course in a folder of an unusual name, with links and unusual names; its feedback is there."""
    folder = tmp_path_factory.mktemp("R&D [x]") / "Ann's <course> 100%"
    make_course(folder, {name: SAMPLES["untouched"] for name in (*STUDENTS, *EMPTY, *REFUSED)})
    (folder / ".course-secret").write_text(SECRET)
    submitted = folder / "submitted"
    for student in EMPTY:
        (submitted / student / ASSIGNMENT / NAME).write_text("")
    own = submitted / "O'Brien" / ASSIGNMENT
    for name, target in {"a.txt": "../../../.course-secret", "b": "/nowhere", "c": "/dev/zero"}.items():
        (own / name).symlink_to(target)
    (own / "timestamp.txt").symlink_to("/dev/zero")
    (own / "own.py").write_text("own = 1\n")
    (submitted / "a&b" / ASSIGNMENT / "timestamp.txt").write_bytes("2026-07-02 13:00 CEST".encode("utf-16"))
    (submitted / "nested" / ASSIGNMENT / "sub").mkdir(parents=True)
    shutil.copy(own / NAME, submitted / "nested" / ASSIGNMENT / "sub")
    for student, target in (("linked", own), ("links-its-notebook", own / NAME)):
        (submitted / student).mkdir()
        place = submitted / student / ASSIGNMENT
        if target.is_file():
            place.mkdir()
            place /= NAME
        place.symlink_to(target)
    done = run("mlflow-kit", "grade", ASSIGNMENT, folder=folder)
    assert done.returncode == 1, done.stdout
    # what an earlier version may have left
    (folder / "autograded" / "O'Brien" / ASSIGNMENT / "old.txt").symlink_to(folder / ".course-secret")
    done = run("nbgrader", "generate_feedback", ASSIGNMENT, folder=folder)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="module")
def verdicts(strange: Path) -> dict[str, Verdict]:
    return {verdict.student: verdict for verdict in Course(strange).verdicts(ASSIGNMENT)}


@pytest.mark.xdist_group("intake")
@pytest.mark.parametrize("student", [*STUDENTS, *EMPTY, "nested"])
def test_any_name_and_place_is_graded_and_gets_feedback(
    strange: Path, verdicts: dict[str, Verdict], student: str
) -> None:
    if student in EMPTY:
        assert "it is empty" in verdicts[student].because
    else:
        assert verdicts[student].kind is VerdictKind.GRADED
    assert (strange / "feedback" / student / ASSIGNMENT / f"{ASSIGNMENT}.html").is_file()


@pytest.mark.xdist_group("intake")
def test_names_that_are_html_or_break_lines_have_a_row_that_says_how_to_rename(
    strange: Path, verdicts: dict[str, Verdict]
) -> None:
    with Gradebook(f"sqlite:///{strange / 'gradebook.db'}") as gradebook:
        known = {student.id for student in gradebook.students}
    assert known == {*STUDENTS, *EMPTY, "nested", "linked", "links-its-notebook"}
    for student, better in REFUSED.items():
        assert verdicts[student].kind is VerdictKind.UNGRADED
        assert f"to submitted/{better} and grade again" in verdicts[student].next_step


@pytest.mark.xdist_group("intake")
def test_nothing_behind_a_link_is_in_any_output(strange: Path, verdicts: dict[str, Verdict]) -> None:
    for step in ("autograded", "feedback", "kept"):
        for path in (strange / step).rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert SECRET.encode() not in path.read_bytes(), path
    assert {path.name for path in (strange / "feedback" / "O'Brien" / ASSIGNMENT).iterdir()} == {
        "own.py",
        f"{ASSIGNMENT}.html",
    }
    assert "a.txt (it is a link), b (it is a link), c (it is a link)" in verdicts["O'Brien"].because
    assert "its folder is a link" in verdicts["linked"].because
    assert f"{NAME} (it is a link)" in verdicts["links-its-notebook"].because
    assert "as a file of its own" in verdicts["links-its-notebook"].next_step


@pytest.mark.xdist_group("intake")
def test_a_time_in_another_encoding_and_zone_is_read_and_one_that_cannot_be_is_said(
    strange: Path, verdicts: dict[str, Verdict]
) -> None:
    with Gradebook(f"sqlite:///{strange / 'gradebook.db'}") as gradebook:
        assert str(gradebook.find_submission(ASSIGNMENT, "a&b").timestamp) == "2026-07-02 11:00:00"
        assert gradebook.find_submission(ASSIGNMENT, "O'Brien").timestamp is None
    assert (
        "timestamp.txt gives no time that can be read (it is no regular file" in verdicts["O'Brien"].because
    )


@pytest.mark.xdist_group("intake")
def test_all_that_lists_submissions_lists_the_same(strange: Path, verdicts: dict[str, Verdict]) -> None:
    listed = [one.student for one in submissions(strange, ASSIGNMENT)]
    assert list(verdicts) == listed
    assert sorted(listed) == sorted([*STUDENTS, *EMPTY, *REFUSED, "nested", "linked", "links-its-notebook"])
    assert set(Course(strange).handed_in(ASSIGNMENT)) == set(listed) - set(REFUSED)
    executed = nbformat.read(strange / "autograded" / "nested" / ASSIGNMENT / NAME, as_version=4)
    assert executed.cells


@pytest.mark.parametrize(
    ("content", "time"),
    [
        (b"2026-07-02 13:00:00 UTC", "2026-07-02 13:00:00"),
        (b"\xef\xbb\xbf2026-07-02 13:00:00.5 UTC\r\n", "2026-07-02 13:00:00.500000"),
        ("2026-07-02 13:00:00 UTC".encode("utf-16-be"), "2026-07-02 13:00:00"),
        (b"2026-07-02 13:00:00 CEST", "2026-07-02 11:00:00"),
        (b"2026-07-02 13:00:00 EDT", "2026-07-02 17:00:00"),
        (b"2026-07-02 13:00:00 Europe/Berlin", "2026-07-02 11:00:00"),
        (b"2026-07-02 13:00:00 +0200", "2026-07-02 11:00:00"),
        (b"2026-07-02", "2026-07-02 00:00:00"),
    ],
)
def test_a_time_is_read(handed_in: Path, content: bytes, time: str) -> None:
    (handed_in / "timestamp.txt").write_bytes(content)
    assert str(handed_at(handed_in).time) == time


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\xff\xfe", "it is empty"),
        (b"13:00", "it says “13:00”"),
        (b"nonsense", "it says “nonsense”"),
        (b"2026-07-02 13:00:00 CST", "its time zone CST is unknown, or means several"),
        (b"2026-07-02 13:00:00 Nowhere/City", "its time zone Nowhere/City is unknown"),
        (b"9999-12-31 23:59:59 -1200", "it says “9999-12-31"),
        (b"1" * 100_000_000, "it has more than 200 bytes"),
    ],
)
def test_a_time_that_cannot_be_read_is_said(handed_in: Path, content: bytes, words: str) -> None:
    (handed_in / "timestamp.txt").write_bytes(content)
    found = handed_at(handed_in)
    assert found.time is None
    assert words in found.note


def test_a_time_that_is_a_folder_a_link_or_a_pipe_is_said_and_read_from_nowhere(handed_in: Path) -> None:
    path = handed_in / "timestamp.txt"
    path.mkdir()
    assert handed_at(handed_in).unreadable
    path.rmdir()
    os.mkfifo(path)
    assert handed_at(handed_in).unreadable
    path.unlink()
    assert handed_at(handed_in).note == ""
    path.symlink_to("/dev/zero")
    assert handed_at(handed_in).unreadable


#: The functions of nbgrader that the kit replaces, and the first digits of the hash of their text in 0.9.6.
REPLACED = {
    (BaseConverter, "init_assignment"): "bcfda8a38bd2",
    (BaseConverter, "init_notebooks"): "75dbbd15a2df",
    (CourseDirectory, "get_existing_timestamp"): "187a451f7b84",
    (utils, "is_ignored"): "ebbe05faff79",
}
#: What they rely on.
RELIED_ON = {
    (Autograde, "init_assignment"): "a7c144dc746e",
    (BaseConverter, "init_destination"): "44418928db4f",
}


@pytest.mark.parametrize(("owner", "name"), [*REPLACED, *RELIED_ON])
def test_nbgrader_has_not_changed_what_is_replaced(owner: object, name: str) -> None:
    text = inspect.getsource(inspect.unwrap(getattr(owner, name)))
    found = sha256(text.encode()).hexdigest()[:12]
    assert found == {**REPLACED, **RELIED_ON}[owner, name], (
        f"nbgrader's {name} has changed: compare it with autograder/nbgrader/replaced.py"
    )


def test_configuring_twice_replaces_once() -> None:
    from traitlets.config import Config

    configure(Config())
    first = BaseConverter.init_assignment
    configure(Config())
    assert BaseConverter.init_assignment is first
    assert first.__wrapped__.__module__ == "nbgrader.converters.base"
