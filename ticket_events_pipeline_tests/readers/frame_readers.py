"""The readers that aggregate by calls on a frame. Each imports its library when it is made."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ticket_events_pipeline_tests.readers.reader import Kinds, Reader, Sums


class Pandas(Reader):
    name = "pandas"
    packages = ("pandas", "pyarrow")
    recipe = "pandas"
    first_try = "pd.read_parquet('data/{asset}')"
    is_in_memory = True

    def columns(self, table: Any) -> dict[str, str]:
        return {name: str(dtype) for name, dtype in table.dtypes.items()}

    def count(self, table: Any) -> int:
        return len(table)

    def by_day(self, table: Any) -> dict[str, int]:
        counted = self.value(table["date"].astype(str).value_counts())
        return {str(day)[:10]: int(rows) for day, rows in counted.items()}

    def sums(self, table: Any, first: dt.date, last: dt.date, kinds: Kinds) -> Sums:
        found = table[(table["date"] >= self.day(first)) & (table["date"] <= self.day(last))]
        sums = {"rows": found["date"].count(), **{name: self._summed(found[name], kind) for name, kind in kinds.items()}}
        return self.value(sums)

    def _summed(self, column: Any, kind: str) -> tuple[Any, Any]:
        values = column.dropna()
        if kind == "time":
            values = values.astype("datetime64[ms, UTC]").astype("int64")
        elif kind == "bool":
            values = values.astype(bool)
        elif kind == "list":
            values = self.lengths(values)
        return values.count(), 0 if kind == "other" else values.sum()

    def on_text(self, table: Any, day: dt.date) -> int:
        return int(self.value((table["date"] == str(day)).sum()))

    def on_date(self, table: Any, day: dt.date) -> int:
        return int(self.value((table["date"] == day).sum()))

    def on_day_of_time(self, table: Any) -> int:
        return int(self.value((table["time"].dt.strftime("%Y-%m-%d") == table["date"].astype(str).str[:10]).sum()))

    def lengths(self, lists: Any) -> Any:
        """How many elements each list has."""
        return lists.map(len)

    def value(self, lazy: Any) -> Any:
        """What an aggregation gives."""
        return lazy

    def day(self, date: dt.date) -> Any:
        """What the recipe's `date` is compared with."""
        return str(date)


class FastParquet(Pandas):
    name = "fastparquet"
    packages = ("fastparquet", "pandas")
    recipe = "fastparquet"
    reads_lists = False
    first_try = "ParquetFile('data/{asset}').to_pandas()"


class Dask(Pandas):
    name = "Dask"
    packages = ("dask", "pyarrow")
    recipe = "dask"
    first_try = "dd.read_parquet('data/{asset}')"
    is_in_memory = False

    def columns(self, table: Any) -> dict[str, str]:
        return super().columns(table.compute())

    def lengths(self, lists: Any) -> Any:
        return lists.map(len, meta=("elements", "int64"))

    def value(self, lazy: Any) -> Any:
        import dask

        return dask.compute(lazy)[0]

    def day(self, date: dt.date) -> Any:
        return date


class Polars(Reader):
    name = "Polars"
    packages = ("polars",)
    recipe = "polars"
    first_try = "pl.scan_parquet('data/{asset}/*/*.parquet')"

    def columns(self, table: Any) -> dict[str, str]:
        return {name: str(dtype) for name, dtype in table.collect_schema().items()}

    def count(self, table: Any) -> int:
        import polars as pl

        return int(table.select(pl.len()).collect().item())

    def by_day(self, table: Any) -> dict[str, int]:
        import polars as pl

        return {str(day): rows for day, rows in table.group_by("date").agg(pl.len()).collect().rows()}

    def sums(self, table: Any, first: dt.date, last: dt.date, kinds: Kinds) -> Sums:
        import polars as pl

        wanted = [pl.len().alias("rows")]
        for name, kind in kinds.items():
            column = pl.col(name)
            own = {"time": column.dt.epoch("ms").sum(), "list": column.list.len().sum(), "other": pl.lit(0)}
            summed = own.get(kind, column.sum())
            wanted += [column.count().alias(f"{name} count"), summed.alias(f"{name} sum")]
        rows, *found = table.filter(pl.col("date").is_between(first, last)).select(wanted).collect().row(0)
        return {"rows": rows, **dict(zip(kinds, zip(found[::2], found[1::2], strict=True), strict=True))}

    def on_text(self, table: Any, day: dt.date) -> int:
        return self._equal(table, str(day))

    def on_date(self, table: Any, day: dt.date) -> int:
        return self._equal(table, day)

    def _equal(self, table: Any, value: Any) -> int:
        import polars as pl

        return self.count(table.filter(pl.col("date") == value))

    def on_day_of_time(self, table: Any) -> int:
        import polars as pl

        return self.count(table.filter(pl.col("time").dt.date() == pl.col("date")))


class PyArrow(Reader):
    name = "pyarrow.dataset"
    packages = ("pyarrow",)
    recipe = "pyarrow"
    first_try = "ds.dataset('data/{asset}', partitioning='hive')"

    def columns(self, table: Any) -> dict[str, str]:
        return {field.name: str(field.type) for field in table.schema}

    def count(self, table: Any) -> int:
        return int(table.count_rows())

    def by_day(self, table: Any) -> dict[str, int]:
        counted = table.to_table(columns=["date"])["date"].value_counts()
        return {str(row["values"]): row["counts"] for row in counted.to_pylist()}

    def sums(self, table: Any, first: dt.date, last: dt.date, kinds: Kinds) -> Sums:
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        found = table.to_table(filter=(ds.field("date") >= first) & (ds.field("date") <= last))
        return {"rows": found.num_rows, **{name: self._summed(found[name], kind, pc) for name, kind in kinds.items()}}

    def _summed(self, column: Any, kind: str, pc: Any) -> tuple[int, Any]:
        values = column.cast("int64") if kind == "time" else pc.list_value_length(column) if kind == "list" else column
        return pc.count(values).as_py(), 0 if kind == "other" else pc.sum(values, min_count=0).as_py()

    def on_text(self, table: Any, day: dt.date) -> int:
        return self._equal(table, str(day))

    def on_date(self, table: Any, day: dt.date) -> int:
        return self._equal(table, day)

    def _equal(self, table: Any, value: Any) -> int:
        import pyarrow.dataset as ds

        return int(table.count_rows(filter=ds.field("date") == value))

    def on_day_of_time(self, table: Any) -> int:
        import pyarrow.compute as pc

        days = pc.strftime(table.to_table(columns=["time"])["time"], format="%Y-%m-%d")
        dates = table.to_table(columns=["date"])["date"].cast("string")
        return int(pc.sum(pc.equal(days, dates)).as_py())
