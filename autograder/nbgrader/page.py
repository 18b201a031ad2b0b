"""What students wrote becomes part of a page: the filters and limits of feedback and of formgrader.

Markdown, highlighting and cleaning take time that grows with the square of a cell's length, or worse, on
text made for it. Cells beyond the limits are shown as plain text.
"""

import re
from html import escape
from typing import Any

from bleach import clean
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbgrader.api import Gradebook

from autograder.nbgrader.late import renew_penalty
from autograder.nbgrader.safe import LONGEST_TEXT, LONGEST_TEXTS, cut

#: Nothing but the page's own styles and pictures that are in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
TEXT = {"a", "abbr", "b", "code", "del", "em", "i", "kbd", "s", "span", "strong", "sub", "sup"}
BLOCKS = {"blockquote", "br", "details", "div", "hr", "img", "li", "ol", "p", "pre", "summary", "ul"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "tbody", "td", "th", "thead", "tr"}
PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
HIGHLIGHTED = re.compile(r"highlight|[a-z][a-z0-9]{0,2}")
#: What the head of nbgrader's template has and a feedback page cannot use: scripts, fonts in other files.
NEEDLESS = re.compile(r"<script\b.*?</script\s*>|@font-face\s*\{[^}]*\}", re.DOTALL | re.IGNORECASE)
HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
#: Of the cells that are formatted on one page, for text and code each: characters that are no letters or
#: digits; those times the length of their cell, added up; and the squares of the cells' numbers of ``<``.
MOST_FORMATTED = (10_000, 40_000_000, 60_000)
#: Formatted markdown that is longer is shown as plain text, in characters.
LONGEST_HTML = 3_000_000
TEXT_MARK, CODE_MARK = re.compile(r"\W|_"), re.compile(r"[^a-zA-Z0-9]")


class LimitFormatting(Preprocessor):
    """Marks the cells of a page that are shown as plain text, as formatting them too would take long.

    Long ones are shown without their middle. The notebook itself stays as it is: a page has its own copy.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        spent: dict[str, tuple[int, ...]] = {"text": (0, 0, 0), "code": (0, 0, 0)}
        left = LONGEST_TEXTS
        for cell in nb.cells:
            kind = "code" if cell.cell_type == "code" else "text"
            marks = len((CODE_MARK if kind == "code" else TEXT_MARK).findall(cell.source))
            costs = (marks, marks * len(cell.source), 0 if kind == "code" else cell.source.count("<") ** 2)
            after = tuple(before + cost for before, cost in zip(spent[kind], costs, strict=True))
            if all(cost <= most for cost, most in zip(after, MOST_FORMATTED, strict=True)):
                spent[kind] = after
                continue
            cell.metadata["shown_plainly"] = True
            cell.source = cut(cell.source, min(LONGEST_TEXT, left))
            left -= min(left, len(escape(cell.source)))
            if cell.cell_type == "raw":
                cell.cell_type = "markdown"  # the template gives raw cells to no filter but a slow one
        return nb, resources


@pass_context
def markdown_to_safe_html(context: Context, source: str) -> str:
    """nbconvert's filter ``markdown2html``, with what could run or ask another host shown as text.

    nbgrader's templates for feedback and formgrader put what that filter returns into the page as it is.
    """
    cell = context.get("cell", {})
    if cell.get("metadata", {}).get("shown_plainly") and source == cell.get("source"):
        return _plain_html(source)
    try:
        made = MarkdownWithMath(renderer=SafeRenderer(cell.get("attachments"))).render(source)
        if len(made) > LONGEST_HTML:
            return _plain_html(source)
        tags = TEXT | BLOCKS | HEADINGS | TABLES
        return str(clean(made, tags, attributes=_may_stay, protocols=["http", "https", "mailto", "data"]))
    except (RecursionError, LookupError, ValueError):
        return _plain_html(source)


class SafeRenderer(IPythonRenderer):
    """Shows each attachment once: a page would grow by its size every time that it is shown."""

    def __init__(self, attachments: dict[str, dict[str, str]] | None) -> None:
        super().__init__(escape=False, attachments=dict(attachments or {}), exclude_anchor_links=True)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """The picture, or its description where there is no such attachment any more."""
        name = url.removeprefix("attachment:")
        if name != url and not self.attachments.get(name):
            return escape(text)
        html = str(super().image(text, url, title))
        if name != url:
            del self.attachments[name]
        return html


def code_to_html(source: str, metadata: dict[str, Any] | None = None) -> str:
    """nbconvert's filter ``highlight_code``; cells that :class:`LimitFormatting` marked have no colours."""
    if (metadata or {}).get("shown_plainly"):
        return f'<div class="highlight">{_plain_html(source)}</div>'
    return str(Highlight2HTML(pygments_lexer="ipython3")(source, metadata=metadata))


def unchanged(text: str) -> str:
    """In place of nbconvert's ``strip_files_prefix``, which old notebooks needed: it can take long."""
    return text


def _plain_html(source: str) -> str:
    return f"<pre>{escape(source)}</pre>"


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
        head, end, body = page.partition("</head>")
        head = HEAD.sub(lambda start: start[0] + meta, NEEDLESS.sub("", head), count=1)
        return head + end + body, resources
