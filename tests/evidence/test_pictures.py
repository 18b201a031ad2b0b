"""Pictures that were made to harm what looks at them are decoded within bounds, or not at all."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autograder.evidence.files import describe
from autograder.evidence.pictures import FORMATS, read_picture

POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n%%EndComments\n{ } loop\nshowpage\n%%EOF\n"
)


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in Ghostscript's place that notes when it is called."""
    called = tmp_path / "called"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {called}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return called


@pytest.mark.parametrize("name", ["plot.png", "plot.eps", "confusion.jpg", "plot"])
def test_postscript_is_handed_to_no_program(tmp_path: Path, ghostscript: Path, name: str) -> None:
    path = tmp_path / "files" / name
    path.parent.mkdir()
    path.write_bytes(POSTSCRIPT)
    assert read_picture(path) is None
    assert describe(path.parent)[0].kind != "picture"
    assert not ghostscript.exists()


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "BMP", "ICO"])
def test_other_formats_are_not_looked_at(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (200, 200), "red").save(tmp_path / "x.png", format=kind)
    assert read_picture(tmp_path / "x.png") is None


@pytest.mark.parametrize("kind", FORMATS)
def test_usual_formats_are_looked_at(tmp_path: Path, kind: str) -> None:
    Image.fromarray(checkers(200, 50)).save(tmp_path / "x", format=kind)
    found = read_picture(tmp_path / "x")
    assert found is not None
    assert (found.width, found.height, found.blank) == (200, 200, False)


def checkers(side: int, field: int = 1) -> np.ndarray:
    return ((np.indices((side, side)) // field).sum(axis=0) % 2 * 255).astype(np.uint8)


def animated(path: Path) -> None:
    frames = [Image.new("P", (20, 20), number % 250) for number in range(2_000)]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


def many_colours(path: Path) -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 255, (40, 3), dtype=np.uint8)
    Image.fromarray(colours[random.integers(0, 40, (900, 900))]).save(path, format="PNG")


def truncated(path: Path) -> None:
    Image.fromarray(checkers(500)).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:200])


HOSTILE: dict[str, Callable[[Path], object]] = {
    "every pixel is an area": lambda path: Image.fromarray(checkers(900)).save(path, format="PNG"),
    "forty colours in noise": many_colours,
    "thousands of frames": animated,
    "one pixel wide": lambda path: Image.new("L", (1, 4_000_000)).save(path, format="PNG"),
    "more pixels than are looked at": lambda path: Image.new("1", (9_000, 9_000)).save(path, format="PNG"),
    "cut off": truncated,
    "a header and nothing": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "a profile that is none": lambda path: Image.new("RGB", (200, 200)).save(
        path, format="PNG", icc_profile=b"x" * 3_000_000
    ),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_picture_takes_seconds_at_most(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x.png")
    began = time.process_time()
    read_picture(tmp_path / "x.png")
    assert time.process_time() - began < 5
