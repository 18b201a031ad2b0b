"""What a submission may use, and what of it is too much."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import PositiveFloat, PositiveInt, ValidationError
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one run of foreign code. Sizes are bytes, times seconds.

    ``cell`` is the wall clock of one cell, ``wall`` that of the whole run. ``memory`` is what all
    processes together may hold, ``process_memory`` what a single one may allocate (an import of
    MLflow and scikit-learn takes 0.6 GB). ``disk`` is the size of the working folder, ``files`` the
    number of files in it; ``file_size`` limits a single one. ``cpu`` is what one process may
    compute. ``output`` is what all cells together may print or display.
    """

    cell: PositiveFloat = 120
    wall: PositiveFloat = 600
    memory: PositiveInt = 4 << 30
    process_memory: PositiveInt = 3 << 30
    processes: PositiveInt = 128
    disk: PositiveInt = 512 << 20
    files: PositiveInt = 20_000
    file_size: PositiveInt = 256 << 20
    cpu: PositiveInt = 600
    output: PositiveInt = 20 << 20

    @classmethod
    def changed(cls, changes: Mapping[str, Any]) -> "Limits":
        """The usual limits with changes, by name. Raises ValueError, in one line, for one that is none."""
        names = [field.name for field in fields(cls)]
        for name, value in changes.items():
            if name not in names:
                raise ValueError(f"There is no limit “{name}”; the limits are: {', '.join(names)}.")
            try:
                cls(**{name: value})
            except ValidationError as error:
                raise ValueError(f"The limit “{name}” is {value!r}: {error.errors()[0]['msg']}.") from None
        return cls(**changes)

    def of_a_process(self) -> dict[str, tuple[int, int]]:
        """The soft and the hard limit of each process, by the names of ``resource.RLIMIT_…``."""
        same = {
            "DATA": self.process_memory,
            "FSIZE": self.file_size,
            "NPROC": self.processes,
            "NOFILE": 1024,
            "CORE": 0,
        }
        # what takes no notice of the first is killed by the second
        return {name: (limit, limit) for name, limit in same.items()} | {"CPU": (self.cpu, self.cpu + 5)}


USUAL = Limits()
