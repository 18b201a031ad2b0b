"""A Sphinx extension: what a page must hold before the build is strict enough, and the same in every build.

Lines of code and of output that are wider than a page shows, and code that neither ran nor says why, are
warnings with the page and the line; the build makes errors of warnings.
"""

import copy
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core import render
from nbformat import NotebookNode
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


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """What a cell left, each of its streams in one piece and as it was printed.

    A kernel sends a stream in pieces, and where one ends is a matter of chance. MyST-NB joins them, too, but
    with a line's end between two, also where a line is in both.
    """
    pieces: dict[str, NotebookNode] = {}
    whole = []
    for output in copy.deepcopy(outputs):
        if output.output_type == "stream" and output.name in pieces:
            pieces[output.name].text += output.text
            continue
        if output.output_type == "stream":
            pieces[output.name] = output
        whole.append(output)
    return in_order(whole)


in_order = render.coalesce_streams


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx when to look."""
    render.coalesce_streams = joined
    os.environ["PYTHONHASHSEED"] = "0"  # of the kernels: sets in messages have one order
    app.connect("source-read", check_source)
    app.connect("doctree-resolved", check_widths)
    return {"version": "1", "parallel_read_safe": True}
