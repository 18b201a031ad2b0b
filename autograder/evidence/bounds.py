"""The largest facts there may be: limits of texts, numbers and collections, and how facts are cut to them.

Limits are written into the types of the facts. :func:`autograder.evidence.facts.load` refuses what goes
beyond them; :func:`bounded` cuts to them and counts what it leaves out. They are far above what an
exercise needs, also when a loop ran several times or a grid search logged a hundred runs.
"""

import dataclasses
import json
import types
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import Field

T = TypeVar("T")

#: A whole number that JSON and a float can hold, such as a time in milliseconds or a size in bytes.
Number = Annotated[int, Field(ge=-(2**53), le=2**53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
#: A word of MLflow's, such as a status or a stage; a name; a path inside a run; a line for people.
Word = Annotated[str, Field(max_length=60)]
Name = Annotated[str, Field(max_length=300)]
Path = Annotated[str, Field(max_length=1_000)]
Line = Annotated[str, Field(max_length=300)]
#: The value of a parameter or a tag; a description.
Text = Annotated[str, Field(max_length=6_000)]
#: A path on this machine.
Folder = Annotated[str, Field(max_length=4_096)]

#: Things of a kind, at most: in a store; of a registered model; of a run; of one metric of a run.
MOST_EXPERIMENTS = 100
MOST_RUNS = 1_000
MOST_MODELS = 500
MOST_REGISTERED = 50
MOST_CHANGES = 2_000
MOST_REQUESTS = 5_000
MOST_VERSIONS = 200
MOST_METRICS = 200
MOST_POINTS = 500
#: Characters of a small file's content; of a call's body, and of its answer.
LONGEST_CONTENT = 64_000
LONGEST_BODY = 64 << 10
#: Findings of one piece of work, at most.
MOST_FINDINGS = 20


def most(number: int) -> Any:
    """The limit of a tuple, in items."""
    return Field(max_length=number, fail_fast=True)


def entries(number: int) -> Any:
    """The limit of a dictionary, in entries."""
    return Field(max_length=number)


Params = Annotated[dict[Name, Text], entries(200)]
Metrics = Annotated[dict[Name, Finite], entries(MOST_METRICS)]
Tags = Annotated[dict[Name, Text], entries(100)]
#: The probabilities of the classes, of one row.
Row = Annotated[tuple[Finite, ...], most(200)]
#: A colour as #rrggbb.
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]

Left = Counter[str]
Cut = Callable[[Any, Left, str], Any]


def bounded(fact: T) -> tuple[T, Left]:
    """A dataclass within the limits that its fields' types name, and what was left out, counted by field.

    Of tuples of facts, which are the oldest first, the last are kept; of all others the first. Texts are
    cut, which is counted as "texts"; what UTF-8 cannot hold is replaced.
    """
    left: Left = Counter()
    kind: Any = type(fact)
    cut: T = _cutter(kind)(fact, left, "")
    return cut, left


def told(left: Left) -> list[str]:
    """In at most two findings, what was left out."""
    texts = left["texts"]
    counted = [f"{number:,} {name.replace('_', ' ')}" for name, number in left.items() if name != "texts"]
    findings = []
    if counted:
        findings.append(f"There is more than is read. Left out: {', '.join(counted)}.")
    if texts:
        findings.append(f"{texts:,} texts are longer than is read: only their beginnings are.")
    return findings


def summed(findings: Iterable[str]) -> list[str]:
    """Findings of one kind as one: the first, and how many more there are."""
    first, *others = [*findings] or [""]
    if not others:
        return [first] if first else []
    number = "another" if len(others) == 1 else f"{len(others):,} others"
    return [f"{first[:250]} The same goes for {number}."]


def at_most(findings: Iterable[str]) -> tuple[str, ...]:
    """The first findings, each no longer than a line may be, and how many there are besides."""
    every = [finding if len(finding) <= 300 else f"{finding[:299]}…" for finding in findings]
    if len(every) <= MOST_FINDINGS:
        return tuple(every)
    return (*every[: MOST_FINDINGS - 1], f"There are {len(every) - MOST_FINDINGS + 1:,} findings more.")


def within(items: Iterable[T], most: int, largest: int) -> tuple[T, ...]:
    """The first of the dataclasses ``items``: no more than ``most``, or than ``largest`` bytes of JSON."""
    kept: list[T] = []
    for item in items:
        largest -= len(json.dumps(dataclasses.asdict(item)))  # type: ignore[call-overload]
        if largest < 0 or len(kept) == most:
            break
        kept.append(item)
    return tuple(kept)


@cache
def _cutter(kind: Any) -> Cut:  # noqa: PLR0911 (one way out for each kind of type)
    """What cuts a value of a type to its limits."""
    limits: dict[str, Any] = {}
    if get_origin(kind) is Annotated:
        kind, *marks = get_args(kind)
        for limit in (one for mark in marks for one in getattr(mark, "metadata", ())):
            limits |= {
                name: getattr(limit, name) for name in ("max_length", "ge", "le") if hasattr(limit, name)
            }
    longest = limits.get("max_length")
    parts = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        (other,) = [part for part in parts if part is not types.NoneType]
        inner = _cutter(other)
        return lambda value, left, name: None if value is None else inner(value, left, name)
    if dataclasses.is_dataclass(kind):
        return _fields_cutter(kind)
    if get_origin(kind) is tuple:
        return _tuple_cutter(_cutter(parts[0]), longest, newest_last=dataclasses.is_dataclass(parts[0]))
    if get_origin(kind) is dict:
        return _dictionary_cutter(_cutter(parts[0]), _cutter(parts[1]), longest)
    if kind is str:
        return lambda value, left, name: _text(value, longest, left)
    if kind is int and "le" in limits:
        return lambda value, left, name: max(limits["ge"], min(limits["le"], value))
    return lambda value, left, name: value


def _fields_cutter(kind: Any) -> Cut:
    cutters: dict[str, Cut] = {}

    def cut(fact: Any, left: Left, _: str) -> Any:
        if not cutters:
            hints = get_type_hints(kind, include_extras=True)
            cutters.update({field.name: _cutter(hints[field.name]) for field in dataclasses.fields(kind)})
        values = {name: getattr(fact, name) for name in cutters}
        return dataclasses.replace(
            fact, **{name: cutters[name](value, left, name) for name, value in values.items()}
        )

    return cut


def _tuple_cutter(inner: Cut, longest: int | None, newest_last: bool) -> Cut:
    def cut(values: tuple[Any, ...], left: Left, name: str) -> tuple[Any, ...]:
        if longest is not None and len(values) > longest:
            left[name] += len(values) - longest
            values = values[-longest:] if newest_last else values[:longest]
        return tuple(inner(value, left, name) for value in values)

    return cut


def _dictionary_cutter(key_cutter: Cut, value_cutter: Cut, longest: int | None) -> Cut:
    def cut(values: dict[Any, Any], left: Left, name: str) -> dict[Any, Any]:
        pairs = list(values.items())
        if longest is not None and len(pairs) > longest:
            left[name] += len(pairs) - longest
            pairs = pairs[:longest]
        return {key_cutter(key, left, name): value_cutter(value, left, name) for key, value in pairs}

    return cut


def _text(text: str, longest: int | None, left: Left) -> str:
    if longest is not None and len(text) > longest:
        left["texts"] += 1
        text = text[:longest]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
