"""Where published tables go: folders or prefixes in object stores, apart from the files that they are copies of."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import TransientError, UsageError
from ticket_events_pipeline.publish.failures import of_place
from ticket_events_pipeline.publish.open_format import opened_format
from ticket_events_pipeline.publish.publisher import Log, Published, Wanted, expire_history, publish
from ticket_events_pipeline.publish.table_format import ConflictError, TableFormat
from ticket_events_pipeline.publish_settings import PUBLISH_URIS, PublishCatalog, PublishSettings
from ticket_events_pipeline.root import ObjectRoot, is_object_store, parse_root
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural


class Target(NamedTuple):
    """A place to publish to.

    Attributes:
        format: of the tables.
        uri: a folder or an object store's URI.
        named_by: the option or variable that it comes from, for messages.
    """

    format: str
    uri: str
    named_by: str


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
    """Publish to each target, and remove old states of each table if a `history` is given; yields the format with each asset.

    Raises:
        UsageError, TransientError: a target can't be published to; see `parse_target`, `refuse_shared_places`, `opened_format`
            and `publish`.
    """
    parsed = list[Target]()
    for target in targets:
        with errors_of(target):
            parsed.append(target._replace(uri=parse_target(target.uri, settings.root)))
    refuse_shared_places(parsed)
    for target in parsed:
        name = target.format
        with ExitStack() as stack:
            with errors_of(target):
                tables = stack.enter_context(opened_format(name, target.uri, catalog, is_to_change=not wanted.is_dry_run))
            for made in publish(store, settings, tables, wanted, log=log):
                if history is not None and made.version and not wanted.is_dry_run:  # one that was refused has no version here
                    _expire(tables, made, history, log)
                yield name, made


def _expire(tables: TableFormat, made: Published, history: KeptHistory, log: Log) -> None:
    now = dt.datetime.fromtimestamp(wall_clock(), dt.UTC)
    before, slack = now - dt.timedelta(days=history.days), dt.timedelta(days=history.slack_days)
    try:
        removed = expire_history(tables, [made.asset], before=before, now=now, slack=slack)
    except ConflictError as error:
        made.problems.append(str(error))
        return
    for url, files in removed.items():
        log(f"{url}: {plural(files, 'data file')} of old states removed.")


def targets_of(settings: PublishSettings) -> list[Target]:
    """Those of the variables."""
    return [Target(name, uri, PUBLISH_URIS[name]) for name, uri in settings.targets.items()]


@contextmanager
def errors_of(target: Target) -> Iterator[None]:
    """The block's errors name the option or variable of the target."""
    try:
        yield
    except (UsageError, TransientError) as error:
        raise of_place(error, target.named_by) from error


def refuse_shared_places(targets: Sequence[Target]) -> None:
    """Check that no target lies in another one; their URIs are those that `parse_target` returns.

    Raises:
        UsageError: one does, or is the same.
    """
    for one, other in combinations(targets, 2):
        if _is_within(one.uri, other.uri) or _is_within(other.uri, one.uri):
            raise UsageError(
                f"{one.named_by} and {other.named_by} lie in each other: {one.uri} and {other.uri}. The clean-up of one table "
                "may remove files of another one in the same folder. Publish to places apart from each other."
            )


def check_writable(uri: str) -> None:
    """Try to write at a target, and leave nothing behind, not even its folder.

    Raises:
        UsageError, TransientError: it can't be written.
    """
    if is_object_store(uri):
        open_store(uri).check()
        return
    folder = Path(uri)
    try:
        while not folder.exists():
            folder = folder.parent
        with TemporaryDirectory(prefix=".ticket-events-", dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{uri} can't be written: {error.strerror} ({folder}).") from error


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
