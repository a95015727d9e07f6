"""Where published tables go: folders or prefixes in object stores, apart from the files that they are copies of."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.publish.open_format import opened_format
from ticket_events_pipeline.publish.publisher import Log, Published, Wanted, expire_history, publish
from ticket_events_pipeline.root import ObjectRoot, is_object_store, parse_root
from ticket_events_pipeline.settings import PublishCatalog, RootSettings
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural

Target = tuple[str, str]
"""A table format, and a folder or an object store's URI."""


class KeptHistory(NamedTuple):
    """How long the tables' old states are kept.

    Attributes:
        days: so many; 0 for the newest state alone.
        slack_days: a table is only cleaned up when a state is so much older: reading what it needs takes a while.
    """

    days: int
    slack_days: int = 0


def publish_to(
    targets: Sequence[Target],
    store: Store,
    settings: RootSettings,
    wanted: Wanted,
    *,
    catalog: PublishCatalog,
    history: KeptHistory | None,
    log: Log,
) -> Iterator[tuple[str, Published]]:
    """Publish to each target, and then remove old states if a `history` is given; yields the format with each asset.

    Raises:
        UsageError, TransientError: a target can't be published to; see `parse_target`, `opened_format` and `publish`.
    """
    parsed = [(name, parse_target(text, settings.root)) for name, text in targets]
    for name, uri in parsed:
        with opened_format(name, uri, catalog, is_to_change=not wanted.is_dry_run) as tables:
            own = list[str]()
            for made in publish(store, settings, tables, wanted, log=log):
                own += [made.asset] if made.version else []  # a table that was refused has none here
                yield name, made
            if history is None or wanted.is_dry_run:
                continue
            now = dt.datetime.fromtimestamp(wall_clock(), dt.UTC)
            before, slack = now - dt.timedelta(days=history.days), dt.timedelta(days=history.slack_days)
            for url, files in expire_history(tables, own, before=before, now=now, slack=slack).items():
                log(f"{url}: {plural(files, 'data file')} of old states removed.")


def parse_target(text: str, root: str) -> str:
    """A folder's absolute path, or an object store's URI: as a root is written.

    Raises:
        UsageError: it can't hold tables, or the files of `root` lie in it, or it lies in them.
    """
    try:
        target = parse_root(text)
    except ValueError as error:
        raise UsageError(f"The URI to publish to {error}.") from error
    if _is_within(target, root) or _is_within(root, target):
        raise UsageError(
            f"{target} and the root {root} lie in each other. Publishing copies rows into tables with files of their own; "
            "query engines that read the root would read those too, and a clean-up of the tables could remove stored days. "
            "Publish to a place of its own."
        )
    return target


def _is_within(inner: str, outer: str) -> bool:
    if is_object_store(inner) != is_object_store(outer):
        return False
    if not is_object_store(inner):
        real = os.path.realpath(outer)
        return os.path.commonpath([os.path.realpath(inner), real]) == real
    one, other = ObjectRoot.parse(inner), ObjectRoot.parse(outer)
    is_same_bucket = (one.provider.library_scheme, one.bucket) == (other.provider.library_scheme, other.bucket)
    return is_same_bucket and f"{one.prefix}/".startswith(f"{other.prefix}/" if other.prefix else "")
