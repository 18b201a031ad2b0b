"""Read a notebook file that somebody handed in: what can be understood is, the rest is named."""

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from autograder.base.errors import KitError
from autograder.base.text import one_line

#: A larger file is not read as a notebook, in bytes.
LARGEST_NOTEBOOK = 64 << 20

SAVE_AGAIN = "Ask the student to hand in the notebook again, saved from Jupyter."
CONFLICT = re.compile(r"^<{7} .*^={7}$.*^>{7} ", re.MULTILINE | re.DOTALL)
USUAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CELLS = {"code": new_code_cell, "markdown": new_markdown_cell}
#: What files begin with that are not text, and what they are.
SIGNATURES = {b"PK\x03\x04": "it is a zip archive", b"%PDF": "it is a PDF", b"\x1f\x8b": "it is compressed"}


class Unreadable(KitError):
    """Raised by :func:`read_notebook`; says why in one line, and in ``next_step`` what to do."""

    def __init__(self, reason: str, next_step: str = SAVE_AGAIN) -> None:
        super().__init__(reason)
        self.next_step = next_step


def read_notebook(path: Path) -> tuple[NotebookNode, list[str]]:
    """The notebook in a file, in today's format, and notes on what was unusual about it.

    Of each cell its kind, text, attachments and nbgrader's metadata are read, nothing else: outputs are
    made anew by running it. Raises Unreadable.
    """
    if path.is_symlink() or not path.is_file():
        raise Unreadable("its file is not a notebook: it is no regular file")
    if path.stat().st_size > LARGEST_NOTEBOOK:
        raise Unreadable(
            f"its file is larger than {LARGEST_NOTEBOOK >> 20} MiB",
            "Ask the student to clear the outputs (Kernel, Restart and Clear Outputs) and hand in again.",
        )
    text, notes = _decode(path.read_bytes())
    content = _parse(text)
    try:
        version = content.get("nbformat", 3 if "worksheets" in content else 4)
        if version != 4:
            content = _in_version_4(content, version)
            notes.append(f"it was saved in the older notebook format {version}")
        notebook = new_notebook(cells=_cells(content["cells"]))
        # half a character, which JSON can hold and a file cannot
        whole = nbformat.writes(notebook).encode("utf-8", "replace").decode("utf-8")
        return nbformat.reads(whole, as_version=4), notes
    except Exception as error:
        raise Unreadable(f"its file is not a notebook that can be read ({one_line(error, 80)})") from error


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
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if CONFLICT.search(text):
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


def _in_version_4(content: dict[str, Any], version: int) -> NotebookNode:
    for sheet in content.get("worksheets", []):
        for cell in sheet.get("cells", []):
            cell["outputs"] = []
    content["nbformat"] = version
    return nbformat.convert(nbformat.from_dict(content), 4)


def _cells(given: list[dict[str, Any]]) -> list[NotebookNode]:
    """Valid cells, made of what the given ones say. A missing, repeated or unusual id is replaced."""
    made: dict[str, NotebookNode] = {}
    for number, cell in enumerate(given):
        id = cell.get("id")
        if not isinstance(id, str) or not USUAL_ID.fullmatch(id) or id in made:
            id = f"handed-in-{number}"
        made[id] = _cell(cell, id)
    return list(made.values())


def _cell(cell: dict[str, Any], id: str) -> NotebookNode:
    kind, source, metadata = cell.get("cell_type"), cell.get("source", ""), cell.get("metadata")
    text = "".join(source) if isinstance(source, list) else str(source)
    make: Callable[..., NotebookNode] = CELLS.get(str(kind), new_raw_cell)
    made = make(text, id=id)
    if isinstance(metadata, dict) and isinstance(metadata.get("nbgrader"), dict):
        made.metadata["nbgrader"] = nbformat.from_dict(metadata["nbgrader"])
    if kind == "markdown" and isinstance(cell.get("attachments"), dict):
        made["attachments"] = nbformat.from_dict(cell["attachments"])
    return made
