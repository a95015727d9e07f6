"""Where tables are published: environment variables in, one checked value out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ticket_events_pipeline.root import parse_root
from ticket_events_pipeline.variables import VariableReader

DELTA, ICEBERG = "delta", "iceberg"

PUBLISH_URIS = {DELTA: "TICKET_EVENTS_PUBLISH_DELTA", ICEBERG: "TICKET_EVENTS_PUBLISH_ICEBERG"}
"""By table format, the variable of the place to publish to."""

PUBLISH_CATALOG, DEFAULT_CATALOG = "TICKET_EVENTS_PUBLISH_CATALOG", "ticket-events.zendesk"

_CATALOG = re.compile(r"([a-z0-9][a-z0-9-]*)\.([a-z0-9_]+(?:\.[a-z0-9_]+)*)", re.ASCII)


class PublishCatalog(NamedTuple):
    """Where Iceberg tables are registered.

    Attributes:
        name: of a catalog, as PyIceberg's configuration has it.
        namespace: of the tables in it, levels separated by dots.
    """

    name: str
    namespace: str


class PublishSettings(NamedTuple):
    """Where tables are published.

    Attributes:
        targets: by table format, the URI; none for a format that isn't published.
        catalog: of Iceberg.
    """

    targets: Mapping[str, str]
    catalog: PublishCatalog


NOT_PUBLISHED = PublishSettings({}, PublishCatalog(*DEFAULT_CATALOG.split(".", 1)))


def has_publishing(env: Mapping[str, str]) -> bool:
    """Whether tables are published; a malformed variable counts, so that a run reports it."""
    reader = VariableReader(env)
    return any(reader.text(variable) for variable in PUBLISH_URIS.values())


def publish_settings(env: Mapping[str, str]) -> PublishSettings:
    """Where tables are published; other variables may be missing or wrong.

    Raises:
        SettingsError: one of the variables is malformed.
    """
    reader = VariableReader(env)
    found = read_publish_settings(reader)
    reader.raise_problems()
    return found


def parse_catalog(text: str) -> PublishCatalog:
    """A catalog and a namespace in it, as in `lakehouse.zendesk`.

    Raises:
        ValueError: it has another form.
    """
    found = _CATALOG.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not CATALOG.NAMESPACE in small letters, as in {DEFAULT_CATALOG}")
    return PublishCatalog(found[1], found[2])


def read_publish_settings(reader: VariableReader) -> PublishSettings:
    """The same by a reader, which collects the problems of all variables."""
    targets = {name: reader.parsed(variable, "", parse=_target) for name, variable in PUBLISH_URIS.items()}
    catalog = reader.parsed(PUBLISH_CATALOG, DEFAULT_CATALOG, parse=parse_catalog)
    return PublishSettings({name: uri for name, uri in targets.items() if uri}, catalog)


def _target(text: str) -> str:
    return parse_root(text) if text else ""
