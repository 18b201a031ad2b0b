"""What a picture shows, as far as a program can tell: its size, whether it is blank, its fields of colour."""

from pathlib import Path
from typing import Any

import numpy as np

from autograder.evidence.facts import Picture

#: Formats that are looked at, by Pillow's names. It would hand others, such as PostScript, to programs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
#: Pictures with more pixels than this are not decoded.
MOST_PIXELS = 40_000_000
#: For looking at it, a picture is brought down to at most this many pixels a side.
LOOKED_AT = 900
#: Grids of 2 by 2 up to this many fields a side are looked for.
MOST_FIELDS = 6
#: Groups of fields that could be a grid: no more than the largest are looked at.
MOST_GROUPS = 6
#: A side of a field is no shorter than this share of the picture's.
SHORTEST = 1 / 20
#: A field is of one colour when at least this share of its inner part is; the rest may be its number.
FLAT = 0.5
#: Fields are of one grid when the gap between them is no more than this share of a field; that between two
#: plots beside each other is larger.
NEAR = 0.5

Box = tuple[slice, slice]


def read_picture(path: Path) -> Picture | None:
    """The picture in a file, or None when it cannot be decoded. Of an animated one the first frame is."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            size = (image.width, image.height)
            if image.width * image.height > MOST_PIXELS:
                return Picture(*size, blank=False)
            image.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.NEAREST, reducing_gap=None)
            # a picture may be transparent where nothing was drawn: on white, as a page shows it
            whole = Image.new("RGBA", image.size, "white")
            whole.alpha_composite(image.convert("RGBA"))
            pixels = np.asarray(whole.convert("RGB")).astype(np.int64)
    except Exception:  # whatever Pillow says about what it finds
        return None
    codes = pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
    blank = bool((codes == codes[0, 0]).all())
    return Picture(*size, blank, {} if blank else _grids(codes))


def _grids(codes: "np.ndarray[Any, Any]") -> dict[int, tuple[str, ...]]:
    """The colours of the fields, row by row, for each number of fields a side that fits the picture.

    A grid is taken to fill the box around large one-coloured areas that are near each other, or around
    all of them; axes, legends and colour bars are made of small ones. An area of one colour all over
    is no grid.
    """
    from scipy import ndimage

    height, width = codes.shape
    shortest = (height * SHORTEST, width * SHORTEST)
    smallest = FLAT * shortest[0] * shortest[1]
    boxes = []
    values, counts = np.unique(codes, return_counts=True)
    common = [n for n in np.argsort(-counts)[: MOST_FIELDS**2 + 4] if counts[n] >= smallest]
    for colour in values[common]:
        areas, _ = ndimage.label(codes == colour)
        sizes = np.bincount(areas.ravel())
        sizes[0] = 0
        # numbered anew, so that only areas that are large enough are looked at
        areas = (np.cumsum(sizes >= smallest) * (sizes >= smallest))[areas]
        for number, box in enumerate(ndimage.find_objects(areas), start=1):
            rows, columns = box
            tall, wide = rows.stop - rows.start, columns.stop - columns.start
            at_the_edge = (
                rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width
            )
            if tall < shortest[0] or wide < shortest[1] or at_the_edge:
                continue
            if (areas[box] == number).sum() >= FLAT * tall * wide:
                boxes.append(box)
    if not boxes:
        return {}
    grids: dict[int, tuple[str, ...]] = {}
    for group in [*_near_each_other(boxes)[:MOST_GROUPS], boxes]:
        top, left = (min(box[axis].start for box in group) for axis in (0, 1))
        bottom, right = (max(box[axis].stop for box in group) for axis in (0, 1))
        inside = codes[top:bottom, left:right]
        for fields in range(2, MOST_FIELDS + 1):
            colours = _colours(inside, fields)
            if len(set(colours)) > 1:
                grids.setdefault(fields, colours)
    return grids


def _near_each_other(boxes: list[Box]) -> list[list[Box]]:
    """The boxes in groups, such as the fields of two matrices side by side; the largest group first."""
    groups: list[list[Box]] = []
    for box in boxes:
        near = [group for group in groups if any(_are_near(box, other) for other in group)]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append([box, *(other for group in near for other in group)])
    return sorted(groups, key=len, reverse=True)


def _are_near(one: Box, other: Box) -> bool:
    """Whether the gap between two boxes is small beside the boxes, in both directions."""
    for a, b in zip(one, other, strict=True):
        gap = max(a.start, b.start) - min(a.stop, b.stop)
        if gap > NEAR * min(a.stop - a.start, b.stop - b.start):
            return False
    return True


def _colours(inside: "np.ndarray[Any, Any]", fields: int) -> tuple[str, ...]:
    """The colour of each of ``fields`` by ``fields`` fields; empty when one of them is not flat."""
    colours = []
    for row in np.array_split(inside, fields, axis=0):
        for field in np.array_split(row, fields, axis=1):
            margins = [side // 8 for side in field.shape]
            inner = field[margins[0] : -margins[0] or None, margins[1] : -margins[1] or None]
            values, counts = np.unique(inner, return_counts=True)
            if not counts.size or counts.max() < FLAT * inner.size:
                return ()
            colours.append(f"#{int(values[counts.argmax()]):06x}")
    return tuple(colours)
