"""Opening a table format at a URI, with the settings that the root is reached with."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import pip_install
from ticket_events_pipeline.publish.table_format import TableFormat
from ticket_events_pipeline.publish_settings import DELTA, ICEBERG, PUBLISH_CATALOG, PublishCatalog
from ticket_events_pipeline.root import ObjectRoot, is_object_store
from ticket_events_pipeline.text import one_line

if TYPE_CHECKING:
    from ticket_events_pipeline.storage.object_connection import S3Settings

LIBRARIES = {DELTA: "deltalake", ICEBERG: "pyiceberg"}
"""By format, the library; the format's name is that of the extra, too."""

OWN_CATALOG = "catalog.db"
"""SQLite file of the catalog that is used in a folder where none is configured."""


@contextmanager
def opened_format(name: str, uri: str, catalog: PublishCatalog, *, is_to_change: bool) -> Iterator[TableFormat]:
    """The tables of a format at a folder or an object store's URI; `catalog` is only for Iceberg.

    Unless something is to be changed, nothing is made there.

    Raises:
        UsageError: the extra isn't installed, a setting is missing, or the catalog can't be opened.
    """
    _check_installed(name)
    if name == DELTA:
        from ticket_events_pipeline.publish.delta import DeltaFormat  # needs the extra

        yield DeltaFormat(uri, _delta_options(uri))
        return
    with _iceberg(uri, catalog, is_to_change=is_to_change) as tables:
        yield tables


def _check_installed(name: str) -> None:
    try:
        importlib.import_module(LIBRARIES[name])
    except ModuleNotFoundError as error:
        if error.name != LIBRARIES[name]:
            raise
        raise UsageError(f"Publishing to {name} needs more installed: {pip_install(name)}") from None


def _s3_settings(uri: str) -> S3Settings | None:
    """None for a folder, and for the stores whose variables the libraries read themselves."""
    if not is_object_store(uri) or ObjectRoot.parse(uri).scheme != "s3":
        return None
    try:
        from ticket_events_pipeline.storage.object_connection import s3_settings  # needs an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise UsageError(f"Publishing to s3:// needs more installed: {pip_install('s3')}") from None
    return s3_settings(ObjectRoot.parse(uri))


def _delta_options(uri: str) -> dict[str, str]:
    found = _s3_settings(uri)
    if found is None:
        return {}
    named = {
        "AWS_ENDPOINT_URL": found.endpoint,
        "AWS_REGION": found.region,
        "AWS_ACCESS_KEY_ID": found.key_id,
        "AWS_SECRET_ACCESS_KEY": found.secret,
        "AWS_SESSION_TOKEN": found.token,
        "AWS_ALLOW_HTTP": "true" if found.may_use_http else "",
    }
    return {name: value for name, value in named.items() if value}


@contextmanager
def _iceberg(uri: str, catalog: PublishCatalog, *, is_to_change: bool) -> Iterator[TableFormat]:
    # Libraries of the extra, which --help doesn't need.
    from pyiceberg.catalog import list_catalogs, load_catalog
    from sqlalchemy.exc import SQLAlchemyError

    from ticket_events_pipeline.publish.iceberg import IcebergFormat

    found = _s3_settings(uri)
    named = (
        {}
        if found is None
        else {
            "s3.endpoint": found.endpoint,
            "s3.region": found.region,
            "s3.access-key-id": found.key_id,
            "s3.secret-access-key": found.secret,
            "s3.session-token": found.token,
        }
    )
    properties = {name: value for name, value in named.items() if value}
    if catalog.name not in list_catalogs():
        properties |= _own_catalog(uri, catalog, is_to_change=is_to_change)
    try:
        opened = load_catalog(catalog.name, **properties)
    except (ValueError, OSError, SQLAlchemyError, ModuleNotFoundError) as error:
        raise UsageError(f"{PUBLISH_CATALOG}: the catalog {catalog.name} can't be opened ({one_line(str(error))}).") from error
    with opened:
        yield IcebergFormat(uri, opened, catalog.namespace)


def _own_catalog(uri: str, catalog: PublishCatalog, *, is_to_change: bool) -> dict[str, str]:
    if is_object_store(uri):
        variable = f"PYICEBERG_CATALOG__{catalog.name.upper().replace('-', '_')}__URI"
        raise UsageError(
            f"Iceberg tables in an object store need a catalog that knows their newest state, and PyIceberg knows none of the "
            f"name {catalog.name}. Set {variable} and what else it needs, or {PUBLISH_CATALOG} to one that is configured."
        )
    folder = Path(uri)
    if is_to_change:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{uri} can't be written: {error.strerror}.") from error
    is_there = is_to_change or (folder / OWN_CATALOG).is_file()
    return {
        "type": "sql",
        "uri": f"sqlite:///{folder / OWN_CATALOG if is_there else ':memory:'}",
        "warehouse": f"file://{folder}",
    }
