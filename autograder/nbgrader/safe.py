"""What a student's run put out is shown to others as text and pictures of limited size, and never run."""

import logging
import re
from dataclasses import dataclass
from html import escape
from typing import Any

from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution

from autograder.base.text import plain

#: Shown as pictures; everything else that an output offers is shown as text.
PICTURES = ("image/png", "image/jpeg")
#: The longest text of one output and of a notebook's outputs, in characters of a page: ``<`` is ``&lt;``.
LONGEST_TEXT = 100_000
LONGEST_TEXTS = 500_000
#: The largest picture and the pictures of a notebook, in characters of base64.
LARGEST_PICTURE = 2_000_000
LARGEST_PICTURES = 10_000_000
#: The outputs of a cell and of a notebook.
MOST_OUTPUTS_OF_A_CELL = 500
MOST_OUTPUTS = 1_000
#: The colour codes in a notebook's outputs, each of which becomes an element of the page.
MOST_COLOURS = 5_000
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
LONG_CODE = re.compile(r"\x1b\[[^@-~]{40}")


class ShowPlainly(NbGraderPreprocessor):
    """Leaves of a student's outputs text and pictures, made anew from what a kernel may have sent.

    HTML and the like become text where there is no other; a picture's metadata would stand in the
    page unquoted, so outputs keep none. Long texts are cut in the middle, large pictures and surplus
    outputs become a sentence. The reports in check cells are the kit's own.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        room = Room()
        for cell in nb.cells:
            if cell.cell_type == "code" and (is_solution(cell) or not is_grade(cell)):
                cell.outputs = room.plain_outputs(cell.outputs)
                if not isinstance(cell.execution_count, int):
                    cell.execution_count = None
        return nb, resources


@dataclass(slots=True)
class Room:
    """What one notebook's outputs may still take up."""

    text: int = LONGEST_TEXTS
    pictures: int = LARGEST_PICTURES
    outputs: int = MOST_OUTPUTS
    colours: int = MOST_COLOURS

    def plain_outputs(self, outputs: list[NotebookNode]) -> list[NotebookNode]:
        """A cell's outputs within the limits, with a last one that says how many were left out."""
        most = min(self.outputs, MOST_OUTPUTS_OF_A_CELL)
        self.outputs -= min(most, len(outputs))
        shown = [self._plain_output(output) for output in outputs[:most]]
        if len(outputs) > most:
            said = f"({len(outputs) - most:,} more outputs of this cell are not shown.)\n"
            shown.append(new_output("stream", name="stderr", text=said))
        return shown

    def _plain_output(self, output: NotebookNode) -> NotebookNode:
        kind = output.output_type
        if kind == "stream":
            name = "stderr" if output.name == "stderr" else "stdout"
            return new_output(kind, name=name, text=self._text(output.text))
        if kind == "error":
            lines = [line if isinstance(line, str) else str(line) for line in output.traceback]
            if sum(len(line) for line in lines) > LONGEST_TEXT // 10:
                lines = ["\n".join(lines)]
            name, value = _text(output.ename)[:1000], _text(output.evalue)[:1000]
            return new_output(kind, ename=name, evalue=value, traceback=[self._text(line) for line in lines])
        data = output.get("data", {})
        shown = {name: data[name] for name in PICTURES if name in data and self._has_room_for(data[name])}
        if "text/plain" in data or not any(name in data for name in PICTURES):
            shown["text/plain"] = self._text(data.get("text/plain") or next(iter(data.values()), ""))
        if not shown or any(name in data and name not in shown for name in PICTURES):
            said = f"(A picture is not shown: it is no picture, or has over {LARGEST_PICTURE:,} characters.)"
            shown["text/plain"] = "\n".join(filter(None, [said, shown.get("text/plain")]))
        return new_output("display_data", shown)

    def _has_room_for(self, picture: Any) -> bool:
        if not isinstance(picture, str) or len(picture) > min(LARGEST_PICTURE, self.pictures):
            return False
        self.pictures -= len(picture)
        return BASE64.fullmatch(picture) is not None

    def _text(self, value: Any) -> str:
        text = cut(_text(value), min(LONGEST_TEXT, self.text))
        colours = text.count("\x1b")
        if colours > self.colours or LONG_CODE.search(text):
            text, colours = strip_ansi(text), 0
        self.colours -= colours
        self.text -= min(self.text, len(escape(text)))
        return text


def cut(text: str, most: int) -> str:
    """Text that takes up ``most`` characters of a page at most, without its middle where it is longer."""
    if len(text) <= most and len(escape(text)) <= most:
        return text
    kept = most if len(escape(text[:most] if len(text) > most else text)) <= most else most // len("&quot;")
    kept = min(kept, len(text)) // 2
    start, end = text[:kept], text[len(text) - kept :]
    return f"{start}\n(… {len(text) - 2 * kept:,} characters are not shown …)\n{end}"


def _text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else str(value)
    except (RecursionError, ValueError):  # nested deep, or a number of thousands of digits
        return "(This output cannot be shown as text.)"


class ShowControlCodes(logging.Filter):
    """Writes control codes in log records out, so that a terminal shows and does not obey them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; a line break stays in a message and goes from what it quotes."""
        if isinstance(record.args, tuple):
            record.args = tuple(plain(arg) if isinstance(arg, str) else arg for arg in record.args)
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
            record.exc_info = record.exc_text = None
        record.msg, record.args = "\n".join(plain(line) for line in message.split("\n")), ()
        return True


def show_control_codes(log: logging.Logger) -> None:
    """Have every handler that gets this logger's records show control codes."""
    current: logging.Logger | None = log
    while current:
        for handler in current.handlers:
            handler.addFilter(ShowControlCodes())
        current = current.parent if current.propagate else None
