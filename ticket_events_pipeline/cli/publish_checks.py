"""The doctor's checks of published tables: that they can be used, and that no table format was put over the stored files."""

from __future__ import annotations

from collections.abc import Iterator

from ticket_events_pipeline.cli.doctor_checks import Check, Deployment, Finding, Status
from ticket_events_pipeline.errors import SettingsError, TicketEventsError
from ticket_events_pipeline.publish.open_format import opened_format
from ticket_events_pipeline.publish.stored import PUBLISHED
from ticket_events_pipeline.publish.table_format import Stamp, refuse_foreign
from ticket_events_pipeline.publish.targets import check_writable, errors_of, parse_target, refuse_shared_places, targets_of
from ticket_events_pipeline.publish_settings import publish_settings
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.text import plural

_FOLDERS = {"_delta_log": "a Delta table", "metadata": "an Iceberg table"}


def check_publish(deployment: Deployment) -> Iterator[Finding]:
    """Whether the tables of TICKET_EVENTS_PUBLISH_… can be opened and written, and are copies of this root."""
    try:
        settings = publish_settings(deployment.variables)
    except SettingsError as error:
        yield from (Finding.failed("publish", problem) for problem in error.problems)
        return
    if not settings.targets or not deployment.are_settings_valid:
        return
    lake = deployment.pipeline.root_settings
    targets = targets_of(settings)
    try:
        refuse_shared_places(targets)
    except TicketEventsError as error:
        yield Finding.failed("publish", str(error))
        return
    for target in targets:
        name, uri = target.format, target.uri
        try:
            with errors_of(target):
                parse_target(uri, lake.root)
                check_writable(uri)
                with opened_format(name, uri, settings.catalog, is_to_change=False) as tables:
                    found = [table for asset in PUBLISHED if (table := tables.open(asset)) is not None]
                for table in found:
                    asset = table.url.rpartition("/")[2]
                    own = Stamp(asset, lake.account or "", lake.timezone, deployment.pipeline.store.location)
                    refuse_foreign(table.stamp, own, lake.former_accounts, table.url, adopts=False)
        except TicketEventsError as error:
            yield Finding.failed("publish", str(error))
        else:
            yield Finding("publish", Status.OK, f"publish: {plural(len(found), f'{name} table')} at {uri}")


def check_leftovers(deployment: Deployment) -> Iterator[Finding]:
    """Files of a table format in the folder of an asset: it was converted in place."""
    if not deployment.are_settings_valid or deployment.root_problem is not None:
        return
    try:
        found = deployment.of_root(lambda: leftovers(deployment.pipeline.store))
    except TicketEventsError:  # the check of the root reports it
        return
    for folder, kind in found.items():
        yield Finding(
            "leftovers",
            Status.NOTE,
            f"{folder} makes {kind} of the stored files. It takes them as unchanging, and each fetch replaces some: its counts "
            "become wrong, query engines may read its own files as events, and its clean-up may delete stored days.",
            f"Remove {folder} and nothing else, without a VACUUM or a clean-up. To have copies: ticket-events publish.",
        )


def leftovers(store: Store) -> dict[str, str]:
    """By folder or file, the kind of table that it belongs to."""
    found: dict[str, str] = {}
    for asset in TABLES:
        for path in store.paths(asset):
            _, name, *rest = path.split("/")
            if rest and name in _FOLDERS:
                found[store.url(f"{asset}/{name}")] = _FOLDERS[name]
            elif path.rpartition("/")[2].startswith("ducklake-") or path.endswith(".ducklake"):
                found[store.url(path)] = "a DuckLake table"
    return found


PUBLISH_CHECKS: tuple[Check, ...] = (check_publish, check_leftovers)
