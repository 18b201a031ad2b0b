"""MLflow's searches answer in pages; an exercise has few things of a kind."""

from collections.abc import Callable
from typing import Any

from autograder.databricks.database import StoreError

#: More than this of one kind is not a beginner's exercise.
MOST = 1_000


def all_pages(search: Callable[[str | None], Any]) -> list[Any]:
    """The items of all pages. ``search`` takes a page's token and gives an MLflow PagedList.

    Raises StoreError when there are more than MOST.
    """
    items: list[Any] = []
    token = None
    while True:
        page = search(token)
        items.extend(page)
        token = page.token
        if len(items) > MOST:
            raise StoreError(
                f"The store has more than {MOST:,} of one kind; expected an exercise's few. "
                "Start again in an empty folder."
            )
        if not token:
            return items
