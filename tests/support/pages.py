"""What a page of the book takes from other files, for the tests that hold it to them."""

import re
from pathlib import Path

_INCLUDE = re.compile(r"^```\{literalinclude\} (\S+)\n((?::.*\n)*)", re.MULTILINE)
_OPTION = re.compile(r'^:([a-z-]+): "?(.*?)"?$', re.MULTILINE)


def included(page: Path) -> list[Path]:
    """The files that a page includes, once each, resolved."""
    found = [page.parent / name for name, _ in _INCLUDE.findall(page.read_text(encoding="utf-8"))]
    return list(dict.fromkeys(path.resolve() for path in found))


def shown(page: Path, file: Path) -> list[str]:
    """The parts of a file that a page shows, in the page's order.

    Raises ValueError where a part begins or ends at a text that the file does not have.
    """
    parts = []
    for name, options in _INCLUDE.findall(page.read_text(encoding="utf-8")):
        if (page.parent / name).resolve() == file.resolve():
            parts.append(_part(file.read_text(encoding="utf-8").splitlines(), dict(_OPTION.findall(options))))
    return parts


def _part(lines: list[str], options: dict[str, str]) -> str:
    start, end = 0, len(lines)
    if "start-at" in options:
        start = _line_with(options["start-at"], lines, 0)
    if "end-before" in options:
        end = _line_with(options["end-before"], lines, start)
    if "end-at" in options:
        end = _line_with(options["end-at"], lines, start) + 1
    return "\n".join(lines[start:end])


def _line_with(text: str, lines: list[str], begin: int) -> int:
    for number, line in enumerate(lines[begin:], begin):
        if text in line:
            return number
    raise ValueError(f"there is no line with {text!r}")
