"""What the book's own Sphinx extension does with outputs."""

import importlib.util

from nbformat.v4 import new_output

from tests.conftest import ROOT


def test_a_stream_that_came_in_pieces_is_shown_as_it_was_printed() -> None:
    path = ROOT / "book" / "tools" / "page_checks.py"
    spec = importlib.util.spec_from_file_location("page_checks", path)
    assert spec and spec.loader
    page_checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page_checks)
    warning = new_output("stream", name="stderr", text="careful\n")
    pieces = [new_output("stream", name="stdout", text=text) for text in ("a: 1", "\nb:", " 2\n")]
    for _ in range(2):
        shown = page_checks.joined([*pieces[:2], warning, *pieces[2:]])
        assert [output.text for output in shown] == ["a: 1\nb: 2\n", "careful\n"]
