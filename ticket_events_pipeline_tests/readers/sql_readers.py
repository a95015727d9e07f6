"""The readers that aggregate by SQL expressions. Each imports its library when it is made."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from ticket_events_pipeline_tests.readers.reader import Kinds, Reader, Sums

Rows = list[tuple[Any, ...]]


class SqlReader(Reader):
    """What all have in common; a reader differs by how it runs an aggregation and by some words of its SQL."""

    quote = '"'
    milliseconds: str
    """Of a timestamp since the epoch, `{}` being the column."""

    elements = "len({})"
    """Of a list, how many it has."""

    def aggregate(self, table: Any, expressions: list[str], *, where: str = "true", by: str | None = None) -> Rows:
        """The rows of an aggregation, the group first if there is one."""
        raise NotImplementedError

    def count(self, table: Any) -> int:
        return int(self.aggregate(table, ["count(*)"])[0][0])

    def by_day(self, table: Any) -> dict[str, int]:
        return {str(day): int(rows) for day, rows in self.aggregate(table, ["count(*)"], by="date")}

    def sums(self, table: Any, first: dt.date, last: dt.date, kinds: Kinds) -> Sums:
        expressions = ["count(*)"]
        for name, kind in kinds.items():
            column = f"{self.quote}{name}{self.quote}"
            expressions += [f"count({column})", self._summed(column, kind)]
        between = f"date >= CAST('{first}' AS date) AND date <= CAST('{last}' AS date)"
        rows, *found = self.aggregate(table, expressions, where=between)[0]
        sums = [summed or 0 for summed in found[1::2]]  # NULL of no values
        return {"rows": rows, **dict(zip(kinds, zip(found[::2], sums, strict=True), strict=True))}

    def _summed(self, column: str, kind: str) -> str:
        if kind == "bool":
            return f"sum(CASE WHEN {column} THEN 1 ELSE 0 END)"
        if kind == "time":
            return f"sum({self.milliseconds.format(column)})"
        if kind == "list":
            return f"sum({self.elements.format(column)})"
        return "0" if kind == "other" else f"sum({column})"

    def on_text(self, table: Any, day: dt.date) -> int:
        return int(self.aggregate(table, ["count(*)"], where=f"date = '{day}'")[0][0])

    def on_date(self, table: Any, day: dt.date) -> int:
        return int(self.aggregate(table, ["count(*)"], where=f"date = CAST('{day}' AS date)")[0][0])

    def on_day_of_time(self, table: Any) -> int:
        return int(self.aggregate(table, ["count(*)"], where="CAST(time AS date) = date")[0][0])


class DuckDb(SqlReader):
    name = "DuckDB"
    packages = ("duckdb",)
    recipe = "duckdb"
    first_try = """duckdb.sql("FROM 'data/{asset}/*/*.parquet'")"""
    milliseconds = "epoch_ms({})"

    def move_to(self, zone: str) -> None:
        import duckdb

        duckdb.sql(f"SET TimeZone = '{zone}'")

    def columns(self, table: Any) -> dict[str, str]:
        return dict(zip(table.columns, map(str, table.types), strict=True))

    def aggregate(self, table: Any, expressions: list[str], *, where: str = "true", by: str | None = None) -> Rows:
        found = table.filter(where)
        grouped = found.aggregate(", ".join([by, *expressions]), by) if by else found.aggregate(", ".join(expressions))
        return list(grouped.fetchall())


class DataFusion(SqlReader):
    name = "DataFusion"
    packages = ("datafusion",)
    recipe = "datafusion"
    first_try = "SessionContext().read_parquet('data/{asset}')"
    elements = "array_length({})"
    milliseconds = "CAST(arrow_cast({}, 'Timestamp(Millisecond, None)') AS bigint)"

    def columns(self, table: Any) -> dict[str, str]:
        return {field.name: str(field.type) for field in table.schema()}

    def aggregate(self, table: Any, expressions: list[str], *, where: str = "true", by: str | None = None) -> Rows:
        parsed = [table.parse_sql_expr(text).alias(f"c{number}") for number, text in enumerate(expressions)]
        found = table.filter(table.parse_sql_expr(where)).aggregate([table.parse_sql_expr(by)] if by else [], parsed)
        return [tuple(row.values()) for row in found.to_pylist()]


class Daft(SqlReader):
    name = "Daft"
    packages = ("daft",)
    recipe = "daft"
    first_try = "daft.read_parquet('data/{asset}/*/*.parquet')"
    milliseconds = "CAST({} AS bigint)"
    elements = "list_count({})"
    columns_by_chance = True

    def columns(self, table: Any) -> dict[str, str]:
        return {field.name: str(field.dtype) for field in table.schema()}

    def aggregate(self, table: Any, expressions: list[str], *, where: str = "true", by: str | None = None) -> Rows:
        import daft

        named = [f"{text} AS c{number}" for number, text in enumerate(expressions)]
        grouped = f"SELECT {', '.join([by, *named] if by else named)} FROM t WHERE {where}" + (f" GROUP BY {by}" if by else "")  # noqa: S608
        return list(zip(*daft.sql(grouped, t=table).to_pydict().values(), strict=True))


class ChDb(SqlReader):
    name = "chdb"
    packages = ("chdb", "chdb-core")
    recipe = "chdb"
    first_try = """f"file('data/{asset}/*/*.parquet', Parquet)\""""
    milliseconds = "toUnixTimestamp64Milli({})"
    elements = "length({})"
    null_lists_are_empty = True

    def columns(self, table: Any) -> dict[str, str]:
        return {row["name"]: row["type"] for row in self._lines(f"DESCRIBE (SELECT * FROM {table})")}  # noqa: S608

    def aggregate(self, table: Any, expressions: list[str], *, where: str = "true", by: str | None = None) -> Rows:
        named = [f"{text} AS c{number}" for number, text in enumerate(expressions)]
        selected = f"SELECT {', '.join([by, *named] if by else named)} FROM {table} WHERE {where}"  # noqa: S608
        grouped = f"{selected} GROUP BY {by}" if by else selected
        settings = "SETTINGS output_format_json_quote_64bit_integers = 0"
        return [tuple(row.values()) for row in self._lines(f"{grouped} {settings}")]

    def _lines(self, query: str) -> list[dict[str, Any]]:
        import chdb

        return [json.loads(line) for line in str(chdb.query(query, "JSONEachRow")).splitlines()]


class Spark(SqlReader):
    name = "Spark"
    packages = ("pyspark",)
    recipe = "spark"
    first_try = "spark.read.parquet('data/{asset}')"
    milliseconds = "unix_millis({})"
    elements = "CASE WHEN {0} IS NOT NULL THEN size({0}) END"
    quote = "`"

    def move_to(self, zone: str) -> None:
        self._names["spark"].conf.set("spark.sql.session.timeZone", zone)

    def columns(self, table: Any) -> dict[str, str]:
        return {field.name: field.dataType.simpleString() for field in table.schema}

    def aggregate(self, table: Any, expressions: list[str], *, where: str = "true", by: str | None = None) -> Rows:
        from pyspark.sql import functions

        grouped = table.where(where).groupBy(*([by] if by else []))
        return [tuple(row) for row in grouped.agg(*map(functions.expr, expressions)).collect()]
