"""What students wrote is shown to others and never run: in feedback, in formgrader and in the log."""

import logging
import re
from typing import Any

from bleach import clean
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution

from autograder.base.text import plain
from autograder.nbgrader.late import renew_penalty

#: Shown as pictures; everything else that an output offers is shown as text.
PICTURES = ("image/png", "image/jpeg")
#: Nothing but the page's own styles and pictures that are in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
TEXT = {"a", "abbr", "b", "code", "del", "em", "i", "kbd", "s", "span", "strong", "sub", "sup"}
BLOCKS = {"blockquote", "br", "details", "div", "hr", "img", "li", "ol", "p", "pre", "summary", "ul"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "tbody", "td", "th", "thead", "tr"}
PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
HIGHLIGHTED = re.compile(r"highlight|[a-z][a-z0-9]{0,2}")
#: What a feedback page has of nbgrader's templates and cannot use: scripts, and fonts in other files.
NEEDLESS = re.compile(r"<script\b.*?</script\s*>|@font-face\s*\{[^}]*\}", re.DOTALL | re.IGNORECASE)
HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


@pass_context
def markdown_to_safe_html(context: Context, source: str) -> str:
    """nbconvert's filter ``markdown2html``, with what could run or ask another host shown as text.

    nbgrader's templates for feedback and formgrader put what that filter returns into the page as it is.
    """
    cell = context.get("cell", {})
    renderer = IPythonRenderer(
        escape=False, attachments=cell.get("attachments", {}), exclude_anchor_links=True
    )
    made = MarkdownWithMath(renderer=renderer).render(source)
    tags = TEXT | BLOCKS | HEADINGS | TABLES
    return str(clean(made, tags, attributes=_may_stay, protocols=["http", "https", "mailto", "data"]))


def _may_stay(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return tag == "img" and PICTURE.fullmatch(value) is not None
    if name == "href":
        return tag == "a" and not value.lstrip().lower().startswith("data:")
    if name == "class":
        return tag in ("div", "span") and HIGHLIGHTED.fullmatch(value) is not None
    return name in ("alt", "title", "open")


class FeedbackExporter(HTMLExporter):
    """Makes feedback pages that hold no script and, by their content security policy, run none."""

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **settings: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The page, without the scripts of the template: what they do is typeset mathematics.

        What is taken off for being late is computed from the points of now, a person's included.
        """
        if self.parent and (of := (resources or {}).get("nbgrader")):
            with Gradebook(of["db_url"]) as gradebook:
                submission = gradebook.find_submission(of["assignment"], of["student"])
                renew_penalty(gradebook, self.parent.coursedir, submission)
        page, resources = super().from_notebook_node(nb, resources, **settings)
        meta = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        return HEAD.sub(lambda head: head[0] + meta, NEEDLESS.sub("", page), count=1), resources


class ShowPlainly(NbGraderPreprocessor):
    """Leaves of a student's outputs text and pictures, made anew from what a kernel may have sent.

    HTML and the like become text where there is no other; a picture's metadata would stand in the
    page unquoted, so outputs keep none. The reports in check cells are the kit's own.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        if cell.cell_type == "code" and (is_solution(cell) or not is_grade(cell)):
            cell.outputs = [_plain_output(output) for output in cell.outputs]
            if not isinstance(cell.execution_count, int):
                cell.execution_count = None
        return cell, resources


def _plain_output(output: NotebookNode) -> NotebookNode:
    kind = output.output_type
    if kind == "stream":
        return new_output(
            kind, name="stderr" if output.name == "stderr" else "stdout", text=_text(output.text)
        )
    if kind == "error":
        lines = [_text(line) for line in output.traceback]
        return new_output(kind, ename=_text(output.ename), evalue=_text(output.evalue), traceback=lines)
    data = output.get("data", {})
    shown = {name: _text(data[name]) for name in PICTURES if name in data}
    if "text/plain" in data or not shown:
        shown["text/plain"] = _text(data.get("text/plain") or next(iter(data.values()), ""))
    return new_output("display_data", shown)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


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
