"""Read a notebook file that a student handed in, within limits of size: say what is wrong with the rest.

The time and the memory that reading takes are proportional to the file's size, whatever is in it.
"""

import codecs
import json
import re
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from autograder.base.errors import KitError
from autograder.base.text import one_line

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: A larger file is not read as a notebook, in bytes.
LARGEST_NOTEBOOK = 64 << 20
#: Lists and objects in the file, each of which takes up to 200 bytes of memory.
MOST_CONTAINERS = 1_000_000
MOST_CELLS = 1_000
#: The longest source of one cell, and of all cells together, in characters.
LONGEST_SOURCE = 100_000
LONGEST_SOURCES = 2_000_000
#: The attachments of all cells together, in characters of base64.
LARGEST_ATTACHMENTS = 2_000_000
#: The entries of a cell's nbgrader metadata, and the characters of each.
MOST_ENTRIES = 20
LONGEST_ENTRY = 200

SAVE_AGAIN = "Ask the student to hand in the notebook again, saved from Jupyter."
CONFLICT_MARKS = [re.compile(mark, re.MULTILINE) for mark in (r"^<{7} ", r"^={7}\r?$", r"^>{7} ")]
USUAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: What files begin with that are not text, and what they are.
SIGNATURES = {b"PK\x03\x04": "it is a zip archive", b"%PDF": "it is a PDF", b"\x1f\x8b": "it is compressed"}
CUT = "\n\n(The rest of this cell was too long and is not shown.)"


class Unreadable(KitError):
    """Raised by :func:`read_notebook`; says why in one line, and in ``next_step`` what to do."""

    def __init__(self, reason: str, next_step: str = SAVE_AGAIN) -> None:
        super().__init__(reason)
        self.next_step = next_step


def read_notebook(path: Path) -> tuple["NotebookNode", list[str]]:
    """The notebook in a file, in format 4, and notes on what was unusual about it.

    Of each cell its kind, text, attachments and nbgrader's metadata are read, nothing else: outputs are
    made anew by running it. Raises Unreadable.
    """
    from nbformat import from_dict

    cells, notes = read_cells(path)
    return from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), notes


def notebook_of(answer: dict[str, Any]) -> tuple["NotebookNode", list[str]]:
    """The notebook and the notes in the answer of a process that read a file.

    Raises Unreadable: what the process said, or that its answer is no notebook.
    """
    from nbformat import from_dict
    from pydantic import ValidationError

    try:
        read = _Read.model_validate(answer)
    except ValidationError as error:
        raise Unreadable("its file is not a notebook that can be read") from error
    if read.unreadable:
        raise Unreadable(read.unreadable, read.next_step)
    cells = [cell.model_dump(exclude_unset=True) for cell in read.cells]
    return from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), read.notes


class _Cell(BaseModel):
    """A cell as :func:`read_cells` makes it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(pattern=USUAL_ID.pattern, max_length=64)]
    cell_type: Literal["code", "markdown", "raw"]
    metadata: Annotated[
        dict[
            Literal["nbgrader"],
            Annotated[dict[str, str | bool | int | float | None], Field(max_length=MOST_ENTRIES)],
        ],
        Field(max_length=1),
    ]
    source: Annotated[str, Field(max_length=LONGEST_SOURCE + len(CUT))]
    outputs: Annotated[list[None], Field(max_length=0)] = []
    execution_count: None = None
    attachments: dict[str, dict[str, str]] = {}


class _Read(BaseModel):
    """What :func:`read_cells` gives, or why it gives nothing."""

    model_config = ConfigDict(strict=True, extra="forbid")

    cells: Annotated[list[_Cell], Field(max_length=MOST_CELLS)] = []
    notes: Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=20)] = []
    unreadable: Annotated[str, Field(max_length=300)] = ""
    next_step: Annotated[str, Field(max_length=300)] = ""


def read_cells(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The cells of a notebook's file as plain values, and notes; see :func:`read_notebook`."""
    if path.is_symlink() or not path.is_file():
        raise Unreadable("its file is not a notebook: it is no regular file")
    if path.stat().st_size > LARGEST_NOTEBOOK:
        raise Unreadable(
            f"its file is larger than {LARGEST_NOTEBOOK >> 20} MiB",
            "Ask the student to clear the outputs (Kernel, Restart and Clear Outputs) and hand in again.",
        )
    text, notes = _decode(path.read_bytes())
    content = _parse(text)
    version = content.get("nbformat", 3 if "worksheets" in content else 4)
    try:
        if str(version) == "4":
            given = content["cells"]
        elif str(version) in ("2", "3"):
            given = list(chain.from_iterable(sheet.get("cells", []) for sheet in content["worksheets"]))
            notes.append(f"it was saved in the older notebook format {version}")
        else:
            raise ValueError(f"its format is {str(version)[:20]!r}, and 2, 3 and 4 can be read")
        cells = _without_empty_ones([_cell(cell) for cell in given], notes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"its file is not a notebook that can be read ({one_line(error, 80)})") from error
    _limit_sources(cells, notes)
    _limit_attachments(cells, notes)
    _make_ids_unique(cells)
    return cells, notes


def _decode(data: bytes) -> tuple[str, list[str]]:
    for start, what in SIGNATURES.items():
        if data.startswith(start):
            raise Unreadable(f"its file is not a notebook: {what}")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace"), ["its file was saved as UTF-16"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), ["its file was not saved as UTF-8"]


def _parse(text: str) -> dict[str, Any]:
    """The JSON object of a file. Raises Unreadable with what the file is instead."""
    start = text[:1000].strip("\0 \t\r\n")
    if not text.strip("\0 \t\r\n"):
        raise Unreadable("its file is not a notebook: it is empty")
    if start.startswith("<") and not start.startswith("<<<<"):
        raise Unreadable(
            "its file is not a notebook: it is a web page",
            "Ask the student to hand in the file itself, downloaded from Jupyter (File, Download).",
        )
    if text.count("{") + text.count("[") > MOST_CONTAINERS:
        raise Unreadable(
            f"its file has more than {MOST_CONTAINERS:,} lists and objects",
            "Ask the student to clear the outputs (Kernel, Restart and Clear Outputs) and hand in again.",
        )
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise Unreadable("its file is not a notebook: its lists and objects are nested too deep") from error
    except ValueError as error:
        if _has_conflict(text):
            raise Unreadable(
                "its file is not a notebook: it holds an unresolved git merge conflict",
                "Ask the student to resolve the conflict, open the notebook once and hand it in again.",
            ) from error
        where = getattr(error, "pos", 0)
        cut_off = start.startswith("{") and ("Unterminated" in str(error) or where >= len(text.rstrip()))
        what = "it was cut off" if cut_off else one_line(error, 60)
        raise Unreadable(f"its file is not a notebook: {what}") from error
    if not isinstance(content, dict) or not {"cells", "worksheets"} & set(content):
        raise Unreadable("its file is not a notebook: it has no cells")
    return content


def _has_conflict(text: str) -> bool:
    """Whether git's three conflict marks follow one another, each at the start of a line."""
    place = 0
    for mark in CONFLICT_MARKS:
        found = mark.search(text, place)
        if not found:
            return False
        place = found.end()
    return True


def _cell(given: dict[str, Any]) -> dict[str, Any]:
    """A valid cell, made of what the given one says; in formats 2 and 3 code is called ``input``."""
    kind = given.get("cell_type")
    text = _text(given.get("source", given.get("input", "")))
    if kind == "heading":
        level = given.get("level")
        hashes = "#" * level if isinstance(level, int) and 1 <= level <= 6 else "#"
        text = f"{hashes} {' '.join(text.splitlines())}"
    kind = {"heading": "markdown", "html": "markdown"}.get(str(kind), kind)
    made: dict[str, Any] = {
        "id": given.get("id"),
        "cell_type": kind if kind in ("code", "markdown") else "raw",
        "metadata": _metadata(given.get("metadata")),
        "source": text,
    }
    if kind == "code":
        made |= {"outputs": [], "execution_count": None}
    if kind == "markdown" and isinstance(given.get("attachments"), dict):
        made["attachments"] = _attachments(given["attachments"])
    return made


def _text(value: Any) -> str:
    """A text, or the lines of one. Half characters, which JSON can hold and a file cannot, become ``?``."""
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _metadata(given: Any) -> dict[str, Any]:
    """What nbgrader says of a cell: a few words, numbers and yes or no, each short."""
    said = given.get("nbgrader") if isinstance(given, dict) else None
    if not isinstance(said, dict) or len(said) > MOST_ENTRIES:
        return {}
    kept: dict[str, Any] = {}
    for name, value in said.items():
        if isinstance(value, str) and len(value) <= LONGEST_ENTRY:
            kept[_text(name[:LONGEST_ENTRY])] = _text(value)
        elif isinstance(value, bool | float | None) or (isinstance(value, int) and abs(value) < 1 << 32):
            kept[_text(name[:LONGEST_ENTRY])] = value
    return {"nbgrader": kept}


def _attachments(given: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        _text(name): {_text(kind): _text(data) for kind, data in kinds.items()}
        for name, kinds in given.items()
        if isinstance(kinds, dict)
    }


def _without_empty_ones(cells: list[dict[str, Any]], notes: list[str]) -> list[dict[str, Any]]:
    """The cells, without the empty ones where there are too many. Raises Unreadable."""
    if len(cells) <= MOST_CELLS:
        return cells
    kept = [cell for cell in cells if cell["source"].strip()]
    if len(kept) > MOST_CELLS:
        raise Unreadable(
            f"its notebook has {len(kept):,} cells that are not empty, and at most {MOST_CELLS:,} are read",
            "Ask the student to hand in the exercise's cells and their own, and no others.",
        )
    notes.append(f"it has {len(cells):,} cells: the {len(cells) - len(kept):,} empty ones were left out")
    return kept


def _limit_sources(cells: list[dict[str, Any]], notes: list[str]) -> None:
    """Cut long texts that are not code. Raises Unreadable for code that is too long."""
    cut = 0
    for cell in cells:
        length = len(cell["source"])
        if length <= LONGEST_SOURCE:
            continue
        if cell["cell_type"] == "code":
            raise Unreadable(
                f"its notebook has a code cell of {length:,} characters, at most {LONGEST_SOURCE:,} are read",
                "Ask the student to move data out of the cell into a file beside the notebook.",
            )
        cell["source"] = cell["source"][:LONGEST_SOURCE] + CUT
        cut += 1
    if cut:
        which = "a text cell was" if cut == 1 else f"{cut} text cells were"
        notes.append(f"{which} longer than {LONGEST_SOURCE:,} characters: the rest was left out")
    total = sum(len(cell["source"]) for cell in cells)
    if total > LONGEST_SOURCES:
        raise Unreadable(
            f"its notebook's cells have {total:,} characters, and at most {LONGEST_SOURCES:,} are read",
            "Ask the student to move data and long texts out of the notebook into files beside it.",
        )


def _limit_attachments(cells: list[dict[str, Any]], notes: list[str]) -> None:
    """Leave out the attachments of cells from the one on with which they become too large."""
    size, left_out = 0, 0
    for cell in cells:
        if not cell.get("attachments"):
            continue
        size += sum(map(_size, chain([cell["attachments"]], cell["attachments"].values())))
        if size > LARGEST_ATTACHMENTS:
            cell["attachments"] = {}
            left_out += 1
    if left_out:
        which = "a cell" if left_out == 1 else f"{left_out} cells"
        notes.append(f"attachments of {which} were left out: they are too large")


def _size(entries: dict[str, Any]) -> int:
    return sum(100 + len(name) + len(value) for name, value in entries.items())


def _make_ids_unique(cells: list[dict[str, Any]]) -> None:
    """Replace each id that is missing, repeated or unusual by a new one."""
    given = {cell["id"] for cell in cells if isinstance(cell["id"], str)}
    new = (id for id in (f"handed-in-{number}" for number in count()) if id not in given)
    used = set()
    for cell in cells:
        id = cell["id"]
        if not isinstance(id, str) or not USUAL_ID.fullmatch(id) or id in used:
            cell["id"] = next(new)
        used.add(cell["id"])
