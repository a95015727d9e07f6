"""SQL as DuckDB writes it: names, texts and types, and one view as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ticket_events_pipeline.tables.table import (
    BOOL,
    DATE,
    DICTIONARY_STRING,
    FLOAT64,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
)
from ticket_events_pipeline.tables.tickets import STRINGS

MADE_BY = "Made by ticket-events views."
"""How the comment of each view ends. A view without it is the user's, and is neither replaced nor dropped."""

_TYPES = {
    INT64: "BIGINT",
    INT32: "INTEGER",
    FLOAT64: "DOUBLE",
    BOOL: "BOOLEAN",
    STRING: "VARCHAR",
    DICTIONARY_STRING: "VARCHAR",
    DATE: "DATE",
    TIMESTAMP: "TIMESTAMPTZ",
    STRINGS: "VARCHAR[]",
}


def name_sql(name: str) -> str:
    """A name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text_sql(text: str) -> str:
    """A text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def type_sql(of: pa.DataType) -> str:
    """DuckDB's name of a type of the stored files."""
    return _TYPES[of]


@dataclass(frozen=True)
class View:
    """One view.

    Attributes:
        name: in the schema.
        query: its SELECT, which names other views with their schema.
        doc: what a row is, and what to know of it.
        columns: what its columns mean, by name; those without a text are left out.
        is_empty: whether it stands for files of which none is stored yet: it has no rows until it is made again.
    """

    name: str
    query: str
    doc: str
    columns: Mapping[str, str] = field(default_factory=dict)
    is_empty: bool = False

    def statements(self, schema: str) -> list[str]:
        """The SQL that makes the view and comments on it, without semicolons."""
        place = f"{name_sql(schema)}.{name_sql(self.name)}"
        return [
            f"CREATE OR REPLACE VIEW {place} AS\n{self.query.strip()}",
            f"COMMENT ON VIEW {place} IS {text_sql(f'{self.doc} {MADE_BY}')}",
            *(f"COMMENT ON COLUMN {place}.{name_sql(column)} IS {text_sql(doc)}" for column, doc in self.columns.items()),
        ]


def empty_rows(columns: Sequence[tuple[str, pa.DataType]]) -> str:
    """A SELECT of no rows with these columns, for their order and types."""
    nulls = ", ".join(f"NULL::{type_sql(of)} AS {name_sql(name)}" for name, of in columns)
    return f"SELECT {nulls} WHERE false"
