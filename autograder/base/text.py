"""Foreign text made plain: one line, no control characters, no more than is useful."""


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """The first line of an error that says something, control characters shown and not obeyed."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = plain(lines[0][:limit] if lines else type(error).__name__)
    return text[:limit].rstrip(".")


def plain(text: str) -> str:
    """Text with control characters, which a terminal would obey, written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
