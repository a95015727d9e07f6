"""What a run asks of each reader."""

from __future__ import annotations

import datetime as dt
import io
import runpy
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parent / "recipes"

Kinds = Mapping[str, str]
"""How each column of an asset is summed.

`integer`, `float`, `bool` (how many are true), `time` (milliseconds), `list` (elements), or `other` (not summed).
"""

Sums = dict[str, Any]
"""`rows`; and by column, the number of values that are not null, and their sum (0 for `other`)."""


class Reader:
    """A library that reads an asset's folder. A `table` is what its `read` returns.

    Attributes:
        name: as the page names it.
        packages: whose versions matter.
        recipe: `recipes/with_<recipe>.py`, which the page shows.
        first_try: how its tutorials read a folder, with `{asset}`; evaluated after the recipe.
        is_in_memory: its table is a copy of the rows.
        reads_lists: its recipe has the columns of lists.
        null_lists_are_empty: a missing list is read as one without elements.
        columns_by_chance: equal first tries may differ in their columns.
    """

    name: str
    packages: tuple[str, ...]
    recipe: str
    first_try: str
    is_in_memory = False
    reads_lists = True
    null_lists_are_empty = False
    columns_by_chance = False

    def __init__(self) -> None:
        """Runs the recipe, and keeps what it prints."""
        with redirect_stdout(io.StringIO()) as output:
            self._names = runpy.run_path(str(RECIPES / f"with_{self.recipe}.py"))
        self.printed = output.getvalue().strip()

    def read(self, asset: str) -> Any:
        """The asset, by the recipe."""
        return self._names["read"](asset)

    def try_first(self, asset: str) -> Any:
        """The asset, as the tutorials have it."""
        return eval(self.first_try.replace("{asset}", asset), self._names)  # noqa: S307  # our own text

    def move_to(self, zone: str) -> None:
        """Set the session's time zone; not needed where the process's own is the session's, or none matters."""

    def columns(self, table: Any) -> dict[str, str]:
        """The type of each column, as the library calls it."""
        raise NotImplementedError

    def count(self, table: Any) -> int:
        """All rows, in the way that costs least."""
        raise NotImplementedError

    def by_day(self, table: Any) -> dict[str, int]:
        """The rows of each day."""
        raise NotImplementedError

    def sums(self, table: Any, first: dt.date, last: dt.date, kinds: Kinds) -> Sums:
        """The sums over the days from `first` through `last`."""
        raise NotImplementedError

    def on_text(self, table: Any, day: dt.date) -> int:
        """The rows whose `date` equals the text of a day."""
        raise NotImplementedError

    def on_date(self, table: Any, day: dt.date) -> int:
        """The rows whose `date` equals a day."""
        raise NotImplementedError

    def on_day_of_time(self, table: Any) -> int:
        """The rows whose `time`, made a date in the usual way, equals their `date`."""
        raise NotImplementedError
