"""A Sphinx extension: what a page must hold before the build is strict enough.

Lines of code and of output that are wider than a page shows, and code that neither ran nor says why, are
warnings with the page and the line; the build makes errors of warnings.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

#: Letters in a line of code or output; more would scroll.
WIDEST = 78
#: Says, in a comment line before a fence, why its code was not executed: ``% not run: …``.
REASON = re.compile(r"^% not run: \S.*$")
FENCE = re.compile(r"^\s*(`{3,}|~{3,})(\{[\w-]+\}|\w*)")
#: Fences of these languages need no reason: a shell's commands are the reader's, plain text is no code.
NO_CODE = frozenset({"", "text", "console", "bash", "toml", "yaml", "json"})
logger = logging.getLogger(__name__)


def check_source(app: Sphinx, name: str, source: list[str]) -> None:
    """Warn of each block of code that is not executed and does not say why."""
    path = Path(app.env.doc2path(name))
    if path.suffix != ".md":
        return
    lines = source[0].splitlines()
    closing: str | None = None
    for number, line in enumerate(lines):
        found = FENCE.match(line)
        if not found:
            continue
        ticks, language = found.groups()
        if closing is not None:
            if line.strip() == closing:
                closing = None
            continue
        if language.startswith("{") and language != "{code-cell}":
            continue  # a directive: what is in it is looked at, too
        closing = ticks
        before = [text for text in lines[:number] if text.strip()][-1:]
        if language == "{code-cell}" or language in NO_CODE or REASON.match("".join(before).strip()):
            continue
        told = "the code is not executed, and no line `% not run: …` before it says why"
        logger.warning(told, location=(name, number + 1))


def check_widths(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Warn of each line of code or output that is too wide."""
    for block in doctree.findall(nodes.literal_block):
        for line in block.astext().splitlines():
            if len(line) > WIDEST:
                told = f"a line has {len(line)} characters, {WIDEST} at most fit: {line[:60]} …"
                logger.warning(told, location=block)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx when to look."""
    app.connect("source-read", check_source)
    app.connect("doctree-resolved", check_widths)
    return {"version": "1", "parallel_read_safe": True}
