"""Where DuckDB finds the stored files of a root, and what it needs to read them there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.root import ObjectRoot, is_object_store
from ticket_events_pipeline.views.sql import name_sql, text_sql

DAYS = "date=*"

MAIN = "main"
"""The schema that every DuckDB file has, whose views need no prefix."""

_GLOB_CHARACTERS = re.compile(r"[*?\[]")
_DAY_FOLDER = re.compile(r"(^|/)date=", re.IGNORECASE)

_SETUPS = {
    "s3": (
        "INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws;",
        "CREATE SECRET (TYPE s3, PROVIDER credential_chain);  -- not AWS: also REGION, ENDPOINT, URL_STYLE 'path'",
    ),
    "gs": (
        "INSTALL httpfs; LOAD httpfs;",
        "CREATE SECRET (TYPE gcs, KEY_ID '…', SECRET '…');  -- an HMAC key of the bucket's project",
    ),
    "az": (
        "INSTALL azure; LOAD azure;",
        "CREATE SECRET (TYPE azure, PROVIDER credential_chain, ACCOUNT_NAME '…');",
    ),
}
_SETUPS["abfss"] = _SETUPS["az"]


@dataclass(frozen=True)
class Lake:
    """A root as DuckDB reads it.

    Attributes:
        location: the root, as this package writes it.
        timezone: IANA zone of the days.
        schema: of the views.
        path: the root as DuckDB takes it, in a glob.
        setup: SQL without which DuckDB can't read the root; empty for a folder.
    """

    location: str
    timezone: str
    schema: str
    path: str
    setup: tuple[str, ...] = ()

    @classmethod
    def of(cls, location: str, timezone: str, *, schema: str = MAIN) -> Lake:
        """The lake in a folder or an object store.

        Raises:
            UsageError: DuckDB would read such a path wrongly.
        """
        if _DAY_FOLDER.search(location):
            raise UsageError(
                f"TICKET_EVENTS_ROOT: {location} has a folder whose name begins with date=. DuckDB would take it for the "
                "day of every row. Move the files, or make a link with another name and set the root to it."
            )
        if is_object_store(location):
            root = ObjectRoot.parse(location)
            return cls(location, timezone, schema, _in_bucket(root), _SETUPS[root.scheme])
        if "\\" in location or not location.isprintable():
            raise UsageError(
                f"TICKET_EVENTS_ROOT: {location!r} has a backslash or a control character, which DuckDB's globs can't hold. "
                "Make a link with another name, and set the root to it."
            )
        return cls(location, timezone, schema, _GLOB_CHARACTERS.sub(r"[\g<0>]", location))

    def view(self, name: str) -> str:
        """The name of a view with its schema, as SQL."""
        return f"{name_sql(self.schema)}.{name_sql(name)}"

    def files(self, folder: str) -> str:
        """The day files of a folder below the root, as an SQL text with a glob; `*` for those of all folders."""
        return text_sql(f"{self.path}/{folder}/{DAYS}/*.parquet")

    def file_of_kind(self, folder: str, kind: str) -> str:
        """The files `<folder>/<kind>.parquet`, as an SQL text; the kind may be a glob."""
        return text_sql(f"{self.path}/{folder}/{kind}.parquet")

    def local_day(self, moment: str) -> str:
        """The SQL of the account's day of a TIMESTAMPTZ, whatever zone the session is in."""
        return f"{self.local_time(moment)}::DATE"

    def local_time(self, moment: str) -> str:
        """The SQL of a TIMESTAMPTZ as the account's clocks show it."""
        return f"timezone({text_sql(self.timezone)}, {moment})"


def _in_bucket(root: ObjectRoot) -> str:
    """The root in DuckDB's own spelling: on Azure the account's host comes first.

    https://duckdb.org/docs/stable/core_extensions/azure
    """
    container, _, host = root.bucket.partition("@")
    bucket = f"{host}/{container}" if host else container
    return f"{root.scheme}://{bucket}{'/' if root.prefix else ''}{root.prefix}"
