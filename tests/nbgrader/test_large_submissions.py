"""What a student hands in, or their run prints, takes little time and memory in nbgrader's own process.

The time grows no faster than the size. Each kind was found by trying: it took minutes or gigabytes.
"""

import copy
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import nbgrader
import pytest
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell
from nbgrader.preprocessors import LimitOutput
from traitlets.config import Config, Configurable

from autograder.evidence.handed_in_notebook import Unreadable, read_notebook
from autograder.nbgrader import configure
from autograder.nbgrader.course_files import Submission
from autograder.nbgrader.page import FeedbackExporter
from autograder.nbgrader.repair import RepairCells
from autograder.nbgrader.safe import ShowPlainly
from tests.conftest import ASSIGNMENT
from tests.support.damaged import EXERCISE

TEMPLATES = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader"
#: Of the processor, for what are two commands to nbgrader: 5 s for feedback's page and for formgrader's.
MOST_SECONDS, MOST_MEMORY = 10, 350 << 20
#: Of the processor, below which times are not compared.
FLOOR = 0.2
Make = Callable[[int], Any]


def repeated(unit: str) -> Make:
    return lambda size: unit * (size // len(unit))


def many(count: int, cell: Callable[[str], NotebookNode], unit: str) -> Make:
    """So many cells that repeat a unit, which have the size together."""
    return lambda size: [cell(unit * (size // count // len(unit))) for _ in range(count)]


def cells(*made: Any) -> bytes:
    notebook = copy.deepcopy(EXERCISE)
    notebook.cells += made
    return json.dumps(notebook).encode()


def empty_objects(size: int) -> bytes:
    return cells(*[{}] * (size // 4))


def claiming(name: str) -> Make:
    marked = {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": name}}, "source": "x = 1"}
    return lambda size: cells(*[marked] * (size // 100))


def with_one_id(size: int) -> bytes:
    return cells(*[{"cell_type": "code", "id": "handed-in-17", "source": "x = 1"}] * (size // 70))


def format_3(size: int) -> bytes:
    sheet = {"cells": [{"cell_type": "heading", "level": 3, "source": "a"}]}
    return json.dumps({"nbformat": 3, "worksheets": [sheet] * (size // 70)}).encode()


def format_2(size: int) -> bytes:
    code = {"cell_type": "code", "input": "x = 1\n" * (size // 6), "outputs": [{"a": 1}] * 100}
    return json.dumps({"nbformat": 2, "worksheets": [{"cells": [code]}]}).encode()


def attachments(size: int) -> bytes:
    cell = new_markdown_cell("![a](attachment:a)" * (size // 36))
    return cells(cell | {"attachments": {"a": {"image/png": "A" * (size // 2)}}})


def with_metadata(metadata: str) -> bytes:
    return b'{"cells": [{"cell_type": "code", "metadata": %s}], "nbformat": 4}' % metadata.encode()


FILES: dict[str, Make] = {
    "conflict marks without an end": lambda size: b"<<<<<<< \n" * (size // 18) + b"=======\n" * (size // 16),
    "only the first conflict mark": lambda size: b"<<<<<<< \n" * (size // 9),
    "empty cells": empty_objects,
    "cells that claim a solution cell": claiming("solve-first-run"),
    "cells that claim a check cell": claiming("first-run"),
    "cells of one id": with_one_id,
    "cells of the exercise's text": lambda size: cells(*list(EXERCISE.cells) * (size // 20_000)),
    "worksheets of format 3": format_3,
    "a long cell of format 2": format_2,
    "metadata nested deep": lambda size: with_metadata('{"a":' * (size // 6) + "1" + "}" * (size // 6)),
    "metadata in many objects": lambda size: with_metadata(
        f'{{"nbgrader": {{"a": [{"{}," * (size // 3)}0]}}}}'
    ),
    "objects in objects": lambda size: with_metadata(
        f"[{(chr(123) + chr(34) * 2 + ':') * 200 + '0' + '}' * 200}]"
    ),
    "a number of many digits": lambda size: with_metadata("1" * size),
    "a fraction of many digits": lambda size: with_metadata("1." + "3" * size),
    "brackets": lambda size: b"[" * size,
    "open strings": lambda size: b'{"cells": ["' + b"\\u0000" * (size // 6),
    "attachments": attachments,
    "a long unknown format": lambda size: json.dumps({"cells": [], "nbformat": "4" * size}).encode(),
    "code that opens exercises": lambda size: cells(new_code_cell('open_exercise("' * (size // 15))),
}
MARKDOWN = [
    "\\begin{a}", "\\\\[", "$$ x ", "[", "*a **b ", "<pre>\n", "&", "> ", "- > a\n", "|",
    "@font-face {", "[a]: b\n",
]  # fmt: skip
CODE = [".", "a+", "?", "\\\n", "%%bash\n<<a "]
TEXTS: dict[str, Make] = {
    **{f"markdown of {unit!r}": repeated(unit) for unit in MARKDOWN},
    "markdown of stars that open and close": lambda size: "*a " * (size // 6) + "a* " * (size // 6),
    "markdown of nested lists": lambda size: "".join(
        "  " * depth + "- a\n" for depth in range(int(size**0.5))
    ),
    "markdown of nested quotes": lambda size: "".join(
        ">" * depth + " a\n" for depth in range(int(size**0.5))
    ),
    "markdown of a long reference": lambda size: f"[a]: {'b' * (size // 2)}\n\n{'[a] ' * (size // 8)}",
    "markdown of bold words that stay open": lambda size: (
        "".join(f"<b a{n}>" for n in range(size // 16)) + "<p>x</p>" * (size // 16)
    ),
}
CELLS: dict[str, Make] = {
    **{f"{count} text cells of {unit!r}": many(count, new_markdown_cell, unit)
       for count, unit in ((20, "<b>"), (900, "*a "), (900, '"'))},
    **{f"code of {unit!r}": many(1, new_code_cell, unit) for unit in CODE},
    "20 code cells of dots": many(20, new_code_cell, "."),
    "raw cells": many(20, new_raw_cell, '"<'),
}  # fmt: skip


def output(kind: str, **fields: Any) -> NotebookNode:
    return NotebookNode({"output_type": kind, "metadata": {}, "name": "stdout", **fields})


def shown(**data: Any) -> NotebookNode:
    return output("display_data", data={name.replace("_", "/"): value for name, value in data.items()})


def printed(unit: str) -> Make:
    return lambda size: [output("stream", text=unit * (size // len(unit)))]


def pictured(unit: str) -> Make:
    return lambda size: [shown(image_png=unit * (size // len(unit)))]


def raised(size: int) -> list[NotebookNode]:
    lines = ["\x1b[31mline"] * (size // 10)
    return [output("error", ename="E" * size, evalue="v" * size, traceback=lines)]


OUTPUTS: dict[str, Make] = {
    **{
        f"print of {unit!r}": printed(unit)
        for unit in ("\x1b[31mx", "\x1b[m", "\x1b[", "a", "<", "\n", "a b\n")
    },
    "a code of many colours": lambda size: [output("stream", text="\x1b[" + "1;" * (size // 2) + "m")],
    "a long traceback": raised,
    "a long line of a traceback": lambda size: [output("error", ename="", evalue="", traceback=["<" * size])],
    "a large picture": pictured("AAAA"),
    "a picture of something else": pictured('" onerror="'),
    "many pictures": lambda size: pictured("AAAA")(size // 20) * 20,
    "many prints": lambda size: printed("a")(1) * (size // 100),
    "many displays": lambda size: [shown(text_html="<b>")] * (size // 100),
    "a page": lambda size: [shown(text_html="<b>" * (size // 3))],
    "nested JSON": lambda size: [shown(application_json=nested(min(size, 10_000)))],
}


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


class Reader(Configurable):
    """What the kit's exporter is to RepairCells: one submission at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.release = EXERCISE
        self.submission = Submission("ann", ASSIGNMENT)

    def placeholder(self, reason: str) -> None:
        self.submission.ungradable = reason


@cache
def exporters() -> list[HTMLExporter]:
    """What makes the pages of feedback and of formgrader, set up as nbgrader sets them up."""
    made = []
    for exporter, template in ((FeedbackExporter, "feedback"), (HTMLExporter, "formgrade")):
        config = Config()
        configure(config, every_folder=False)
        config.HTMLExporter.template_name = template
        config.HTMLExporter.extra_template_basedirs = [str(TEMPLATES / "templates")]
        styles = TEMPLATES / "static" / "node_modules" / "bootstrap" / "dist" / "css"
        config.HTMLExporter.extra_template_paths = [str(styles)]
        made.append(exporter(config=config))
    return made


def pages(notebook: NotebookNode) -> list[str]:
    """Both pages, with points as nbgrader's gradebook has them."""
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["score"] = 1
    scores = {"notebook": ASSIGNMENT, "score": 1, "max_score": 25, "late_penalty": 0}
    resources = {"nbgrader": scores, "index": 0, "total": 1, "base_url": ""}
    return [exporter.from_notebook_node(notebook, copy.deepcopy(resources))[0] for exporter in exporters()]


def show(notebook: NotebookNode) -> list[str]:
    for preprocessor in (ShowPlainly(), LimitOutput()):
        notebook, _ = preprocessor.preprocess(notebook, {})
    return pages(notebook)


def take_in(path: Path) -> list[str]:
    """Read, repair and show a file as nbgrader's commands do; the notes of reading and repairing."""
    try:
        notebook, notes = read_notebook(path)
    except Unreadable as error:
        return [str(error)]
    reader = Reader()
    notebook, _ = RepairCells(parent=reader).preprocess(notebook, {})
    show(notebook)
    return [*notes, *reader.submission.repairs]


def with_outputs(outputs: list[NotebookNode]) -> NotebookNode:
    notebook = copy.deepcopy(EXERCISE)
    cell = new_code_cell("")
    cell.outputs = outputs
    notebook.cells.append(cell)
    return notebook


def cost(work: Callable[[], Any]) -> tuple[float, list[str]]:
    """The seconds of the processor that some work takes in a child of limited memory, and what it says."""
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_limited, args=(work, there))
    child.start()
    there.close()
    try:
        assert here.poll(60), "it takes more than a minute"
        return here.recv()  # type: ignore[no-any-return]  # the pair that _limited sends
    finally:
        child.kill()
        child.join()


def _limited(work: Callable[[], Any], there: Connection) -> None:
    used = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line)
    most = (int(used.split()[1]) << 10) + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    start = time.process_time()
    said = work()
    there.send((time.process_time() - start, said))


def hold(work: Callable[[int], Callable[[], Any]], sizes: tuple[int, ...]) -> list[str]:
    """What was said of the largest size; none took long, and ten times the size at most twenty times."""
    before, said = 0.0, [""]
    for size in sizes:
        seconds, said = cost(work(size))
        assert seconds < MOST_SECONDS, f"{seconds:.1f} s for {size:,}"
        assert not before or seconds < 20 * max(before, FLOOR), f"{before:.1f} s, then {seconds:.1f} s"
        before = seconds
    return said


@pytest.fixture(scope="module", autouse=True)
def _templates_are_compiled() -> None:
    pages(copy.deepcopy(EXERCISE))


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_ten_megabytes_costs_little(kind: str, tmp_path: Path) -> None:
    def of(size: int) -> Callable[[], list[str]]:
        path = tmp_path / f"{size}.ipynb"
        path.write_bytes(FILES[kind](size))
        return lambda: take_in(path)

    hold(of, (1_000_000, 10_000_000))


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_cell_costs_little(kind: str, tmp_path: Path) -> None:
    def of(size: int) -> Callable[[], list[str]]:
        path = tmp_path / f"{size}.ipynb"
        path.write_bytes(cells(new_markdown_cell(TEXTS[kind](size))))
        return lambda: take_in(path)

    hold(of, (8_000, 80_000))


@pytest.mark.parametrize("kind", CELLS)
def test_many_cells_cost_little(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "many.ipynb"
    path.write_bytes(cells(*CELLS[kind](1_900_000 if "cells" in kind else 95_000)))
    hold(lambda _: lambda: take_in(path), (1_900_000,))


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_of_ten_megabytes_cost_little(kind: str) -> None:
    hold(lambda size: lambda: show(with_outputs(OUTPUTS[kind](size))), (10_000_000,))


def test_empty_cells_are_left_out_and_the_work_is_graded(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_bytes(empty_objects(100_000))
    notebook, notes = read_notebook(tmp_path / "a.ipynb")
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in EXERCISE.cells]
    assert notes == ["it has 25,017 cells: the 25,000 empty ones were left out"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([new_code_cell("x = 1")] * 1001, "1,018 cells that are not empty, and at most 1,000"),
        ([new_code_cell("#" * 100_001)], "a code cell of 100,001 characters, at most 100,000"),
        ([new_code_cell("#" * 100_000)] * 20, "and at most 2,000,000 are read"),
    ],
)
def test_what_is_too_large_is_refused_with_its_size(made: list[Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_bytes(cells(*made))
    with pytest.raises(Unreadable, match=words) as refused:
        read_notebook(tmp_path / "a.ipynb")
    assert "Ask the student to" in refused.value.next_step


def test_a_picture_in_the_text_of_a_cell_does_not_cost_the_grade(tmp_path: Path) -> None:
    picture = new_markdown_cell(f"![a](data:image/png;base64,{'A' * 500_000})")
    attached = new_markdown_cell("![a](attachment:a)") | {
        "attachments": {"a": {"image/png": "A" * 3_000_000}}
    }
    (tmp_path / "a.ipynb").write_bytes(cells(picture, attached))
    notebook, notes = read_notebook(tmp_path / "a.ipynb")
    assert len(notebook.cells) == len(EXERCISE.cells) + 2
    assert notes == [
        "a text cell was longer than 100,000 characters: the rest was left out",
        "attachments of a cell were left out: they are too large",
    ]


def test_no_cell_is_lost_to_an_id_that_another_was_given(tmp_path: Path) -> None:
    ids = ["handed-in-1", "same", "same", None, "handed-in-0", "same"]
    given = [{"cell_type": "code", "id": id, "source": f"{number}"} for number, id in enumerate(ids)]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": given}))
    notebook, _ = read_notebook(tmp_path / "a.ipynb")
    assert [cell.source for cell in notebook.cells] == list("012345")
    assert len({cell.id for cell in notebook.cells}) == 6


def test_what_is_cut_from_outputs_is_said() -> None:
    made = [
        *printed("0123456789")(200_000),
        *pictured("AAAA")(2_100_000),
        output("error", ename="E", evalue="", traceback=["\x1b[31mred\x1b[0m"]),
        *printed("a")(1) * 600,
    ]
    feedback, for_instructors = show(with_outputs(made))
    for page in (feedback, for_instructors):
        assert "(… 100,000 characters are not shown …)" in page
        assert "A picture is not shown" in page
        assert '<span class="ansi-red-fg">red</span>' in page
        assert "(103 more outputs of this cell are not shown.)" in page


def test_cells_beyond_the_limits_are_plain_and_the_others_are_formatted() -> None:
    notebook = copy.deepcopy(EXERCISE)
    long = "**a** <b>b</b> " * 3000
    notebook.cells += [new_markdown_cell(long), new_code_cell("a+" * 9000), new_raw_cell(long)]
    notebook.cells += [new_markdown_cell("**bold** `@font-face {src: x}`"), new_code_cell("import last")]
    for page in show(notebook):
        assert "<pre>**a** &lt;b&gt;b&lt;/b&gt; **a**" in page
        assert "<pre>a+a+" in page
        assert "<strong>bold</strong> <code>@font-face {src: x}</code>" in page
        assert '<span class="kn">import</span>' in page


def test_an_attachment_is_shown_once_and_a_missing_one_does_no_harm() -> None:
    cell = new_markdown_cell("![first](attachment:a) ![second](attachment:a) ![third](attachment:b)")
    cell["attachments"] = {"a": {"image/png": "AAAA"}}
    notebook = copy.deepcopy(EXERCISE)
    notebook.cells.append(cell)
    for page in show(notebook):
        assert page.count("data:image/png;base64,AAAA") == 1
        assert "second third" in page
