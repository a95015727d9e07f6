"""pyarrow without pandas, as long as nobody imports pandas.

Where pandas is installed, pyarrow imports it at its first conversion of a Python value, to recognize pandas' objects from then
on: 0.15 s and 60 MB of every fetch. As long as nobody else has imported pandas, there are none to recognize.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PANDAS = "pandas"


@functools.cache
def defer_pandas() -> None:
    """Keep pyarrow from importing pandas by itself. Once somebody imports pandas, pyarrow works with it as usual.

    Call it before pyarrow converts its first value in this process: afterwards it has no effect.
    """
    import pyarrow as pa

    if PANDAS in sys.modules:
        return
    finder = _PandasFinder()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([None])  # pyarrow looks for pandas now, and never again by itself
    finally:
        finder.hidden_from = None


class _PandasFinder(MetaPathFinder):
    """Hides pandas from one thread; afterwards, has pyarrow look for pandas again when it is first imported."""

    def __init__(self) -> None:
        self.hidden_from: int | None = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != PANDAS:
            return None
        if self.hidden_from == threading.get_ident():
            raise ModuleNotFoundError(f"{PANDAS} is not needed yet", name=PANDAS)
        if self.hidden_from is not None:
            return None  # pyarrow waits for that other thread's import, and finds pandas
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(PANDAS)
        if spec is not None and spec.loader is not None:
            _look_again_after(spec.loader)
        return spec


def _look_again_after(loader: Loader) -> None:
    execute = loader.exec_module

    def execute_and_look(module: ModuleType) -> None:
        import pyarrow as pa

        execute(module)
        pa.nulls(0).to_pandas()  # for what needs pandas, pyarrow looks for it again

    loader.exec_module = execute_and_look  # type: ignore[method-assign]
