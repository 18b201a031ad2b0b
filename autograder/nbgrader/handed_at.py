"""When a submission was handed in: what its timestamp.txt says, in any encoding, and what is unclear."""

import codecs
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from dateutil import parser

from autograder.nbgrader.intake import NotAFolder, read_start

TIMESTAMP = "timestamp.txt"
#: A longer file is not a time, in bytes.
LONGEST = 200
EXPECTED = "expected a time such as 2026-11-20 12:00:00 UTC"
#: Hours from UTC of the zones' names that mean one zone in the whole world, or nearly.
ZONES = {
    **{"UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MET": 1, "CEST": 2, "MEST": 2},
    **{"EET": 2, "EEST": 3, "MSK": 3, "HKT": 8, "SGT": 8, "AWST": 8, "JST": 9, "KST": 9, "AEST": 10},
    **{"AEDT": 11, "NZST": 12, "NZDT": 13, "ACST": 9.5, "ACDT": 10.5, "SAST": 2, "EAT": 3, "WAT": 1},
    **{"EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8},
    **{"HST": -10, "NST": -3.5, "NDT": -2.5, "BRT": -3, "ART": -3, "CLT": -4, "PET": -5, "COT": -5},
}
#: The same letters are used for several zones; what is given by a place or a number is clear.
PLACE = re.compile(r"(?P<time>.*\d)\s+(?P<place>[A-Z]\w*(?:/[A-Z][\w+-]*)+)", re.DOTALL)
#: Two days that differ in year, month, day and time: a text that gives none of them takes them from these.
DEFAULTS = datetime(2004, 2, 1), datetime(2008, 3, 2, 1, 1)


@dataclass(frozen=True, slots=True)
class HandedAt:
    """A time in UTC, without a zone as nbgrader keeps it; None where none can be read. A note says why."""

    time: datetime | None = None
    note: str = ""
    unreadable: bool = False


def handed_at(folder: Path) -> HandedAt:
    """When the submission in ``folder`` was handed in."""
    try:
        data = read_start(folder, TIMESTAMP, LONGEST + 1)
    except NotAFolder:
        data = None
    except OSError:
        return _unreadable("it is no regular file")
    return HandedAt() if data is None else _understood(data)


def _understood(data: bytes) -> HandedAt:
    if len(data) > LONGEST:
        return _unreadable(f"it has more than {LONGEST} bytes")
    text = _decode(data).strip().strip("\0")
    if not text:
        return _unreadable("it is empty")
    try:
        return _read(text)
    except (ValueError, OverflowError, RecursionError) as error:
        told = str(error) if isinstance(error, UnclearZone) else f"it says “{text[:40]}”"
        return _unreadable(told)


class UnclearZone(ValueError):
    """Raised for the name of a time zone that is unknown or means several."""


def _unreadable(why: str) -> HandedAt:
    return HandedAt(
        note=f"{TIMESTAMP} gives no time that can be read ({why}, {EXPECTED}), so it does not count as late",
        unreadable=True,
    )


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    return data.decode("utf-8-sig", "replace")


def _read(text: str) -> HandedAt:
    zone = None
    if found := PLACE.fullmatch(text):
        text = found["time"]
        try:
            zone = ZoneInfo(found["place"])
        except (ValueError, OSError, KeyError) as error:
            raise UnclearZone(f"its time zone {found['place']} is unknown") from error
    first, second = (parser.parse(text, default=default, tzinfos=_offset) for default in DEFAULTS)
    if first.date() != second.date():
        raise ValueError("it has no whole date")
    note = ""
    if first.time() != second.time():
        first = first.replace(hour=0, minute=0)
        note = f"{TIMESTAMP} gives a day and no time of day: its first minute is taken"
    if zone:
        first = first.replace(tzinfo=zone)
    return HandedAt(first.astimezone(UTC).replace(tzinfo=None) if first.tzinfo else first, note)


def _offset(name: str | None, offset: int | None) -> int | None:
    """Seconds from UTC of a zone in a time; dateutil's ``tzinfos``. Raises UnclearZone."""
    if offset is not None or name is None:
        return offset
    if name.upper() not in ZONES:
        raise UnclearZone(f"its time zone {name} is unknown, or means several")
    return int(timedelta(hours=ZONES[name.upper()]).total_seconds())
