"""Foreign text made plain: one line, no control characters, no more than is useful; sizes in words."""

import unicodedata

#: Unicode's categories of control codes, half characters, and line and paragraph separators.
CODES = ("Cc", "Cs", "Zl", "Zp")
#: Unicode's marks that turn the direction of the text after them.
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

#: Of a longer error only the beginning is looked at.
LOOKED_AT = 10_000


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """The first line of an error that says something, control characters shown and not obeyed."""
    lines = (line.strip() for line in str(error)[:LOOKED_AT].splitlines())
    first = next((line for line in lines if line), type(error).__name__)
    return plain(first[:limit])[:limit].rstrip(".")


def plain(text: str) -> str:
    """Text with control characters, which a terminal would obey, written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short(text: object, limit: int = 80) -> str:
    """Foreign text for the middle of a sentence: plain, and cut to ``limit`` characters with an ellipsis."""
    shown = plain(str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def quoted(text: object, limit: int = 80) -> str:
    """Foreign text in quotation marks, as :func:`short` shortens it."""
    return f"“{short(text, limit)}”"


def hidden_characters(name: str) -> str:
    """The characters of a name that break a line, steer a terminal, turn the text or are half ones.

    The joiners and spaces that names in many scripts need are not among them.
    """
    return "".join(c for c in name if unicodedata.category(c) in CODES or c in TURNING)


def size(number: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"
