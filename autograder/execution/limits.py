"""What a submission may use, and what of it is too much."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one run of foreign code. Sizes are bytes, times seconds.

    ``cell`` is the wall clock of one cell, ``wall`` that of the whole run. ``memory`` is what all
    processes together may hold, ``process_memory`` what a single one may allocate (an import of
    MLflow and scikit-learn takes 0.6 GB). ``disk`` is the size of the working folder, ``files`` the
    number of files in it; ``file_size`` limits a single one. ``cpu`` is what one process may
    compute. ``output`` is what all cells together may print or display.
    """

    cell: float = 120
    wall: float = 600
    memory: int = 4 << 30
    process_memory: int = 3 << 30
    processes: int = 128
    disk: int = 512 << 20
    files: int = 20_000
    file_size: int = 256 << 20
    cpu: int = 600
    output: int = 20 << 20


USUAL = Limits()


def size(number: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"
