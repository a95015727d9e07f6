"""A bar of day files in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def day_files_bar(console: Console, *, total: int) -> Iterator[Callable[[], None]]:
    """A bar of `total` day files, and what moves it on by one; what is printed meanwhile stands above it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("day files", total=total)
        yield lambda: progress.advance(bar)
