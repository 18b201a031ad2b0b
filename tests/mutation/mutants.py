"""Mutants of the grading code: each of its lines changed in a small way, by mutmut's operators.

mutmut's own runner passes over functions with a decorator, which in a rubric are the criteria, and
over constants. So only its operators are used here, and one that turns a condition round.

Left out is what students read, f-strings and strings with a space in them, and calls without one of
their arguments: those crash wherever they are reached, and to notice that proves little.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal

#: What is not run when work is graded, and what is read by people only.
DECLARING = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.FormattedString)


def turned_round(node: cst.If | cst.CompIf) -> Iterator[cst.CSTNode]:
    """``if not (test)``, where no other operator turns the test round."""
    if not isinstance(node.test, (cst.Comparison, cst.UnaryOperation)):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


OPERATORS = [pair for pair in mutation_operators if pair[1] is not operator_arg_removal]
OPERATORS += [(cst.If, turned_round), (cst.CompIf, turned_round)]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change in it. ``line`` is where, ``diff`` what."""

    module: str
    line: int
    source: str
    diff: str


class Changes(cst.CSTVisitor):
    """Collects what can be changed in a module: node, replacement and line."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, int]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, DECLARING) or (isinstance(node, cst.SimpleString) and " " in node.value):
            return False
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                line = self.get_metadata(PositionProvider, node).start.line
                self.found += [(node, changed, line) for changed in operator(node)]
        return True


class Swap(cst.CSTTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: cst.CSTNode, new: cst.CSTNode) -> None:
        super().__init__()
        self.old, self.new = old, new

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:
        return self.new if original_node is self.old else updated_node


def mutants(path: Path, module: str) -> Iterator[Mutant]:
    """All mutants of the module in ``path``, in the order of its lines."""
    text = path.read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(text))
    changes = Changes()
    wrapper.visit(changes)
    for old, new, line in sorted(changes.found, key=lambda change: change[2]):
        changed = wrapper.module.visit(Swap(old, new)).code
        if changed != text:
            diff = difflib.unified_diff(text.splitlines(), changed.splitlines(), n=0, lineterm="")
            shown = "\n".join(one for one in diff if not one.startswith(("---", "+++", "@@")))
            yield Mutant(module, line, changed, shown)
