"""After `forget`, nothing of a person is in any file, every SLA figure is as before, and later fetches don't bring it back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ticket_events_pipeline.forget.forget import Forgotten, Wanted, forget
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.store import HALF_WRITTEN
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.forget_roots import SLA_TABLES, Office, found_in, raw_rows
from ticket_events_pipeline_tests.support.person_account import (
    ADDRESS,
    CUSTOM,
    DAYS,
    EARLIER_TICKET,
    FREE_TEXT,
    NAME,
    NEEDLES,
    NOW,
    OTHER_TICKET,
    PERSON,
    TICKET,
    other_audits,
    person_account,
    person_audits,
)

DIMENSIONS = (f"custom_field:{CUSTOM}", f"custom_field:{FREE_TEXT}")
AUDITS, METRIC = STREAMS
WHO_AM_I = "from ticket_events_pipeline.process import this_process; print(this_process())"


def filled(store, server) -> Office:
    """Everything of the account, and what a stopped fetch of another day has left."""
    office = Office(store, server, DAYS, now=NOW, dimensions=DIMENSIONS)
    for stream in STREAMS:
        office.fetch(stream)
    office.ask([TICKET, EARLIER_TICKET, OTHER_TICKET])
    office.make_tables()
    office.fetch(AUDITS, DAYS, stop_after=1)
    dead = subprocess.run([sys.executable, "-c", WHO_AM_I], capture_output=True, text=True, check=True).stdout.strip()
    with store.writer(f"{HALF_WRITTEN}/{dead}.0123.latest.html") as file:
        file.write(f"{ADDRESS} {PERSON}".encode())
    return office


def done(office: Office, *, dry_run: bool = False) -> Forgotten:
    wanted = Wanted(requesters=(PERSON,))
    return forget(office.store, office.settings, wanted, dry_run=dry_run, clock=office.clock, sleep=lambda _: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    account = person_account()
    with SandboxServer(account, clock=Moment(NOW), page_limit=5) as server:
        store = FolderStore(tmp_path_factory.mktemp("root"))
        office = filled(store, server)
        office.account = account
        office.before = office.figures()
        office.planted = found_in(store, NEEDLES)
        before = contents(office)
        office.would = done(office, dry_run=True)
        office.is_unchanged = contents(office) == before
        office.did = done(office)
        office.left_at_once = found_in(store, NEEDLES)
        office.hashes = hashes(office)
        yield office


def hashes(office):
    return {(name, day): read_raw_footer(office.store, name, day).content_hash for name in STREAMS for day in DAYS}


def test_the_person_stands_in_every_kind_of_file_before(world):
    """Else the other tests would show nothing."""
    folders = {path.partition("/")[0] for path in world.planted}
    wanted = {
        AUDITS,
        METRIC,
        "ticket_field_changes",
        "ticket_states",
        "sla_target_dimensions",
        "daily_sla_breaches_by_dimension",
    }
    assert folders >= {*wanted, "ticket_snapshots", "sla_breach_report", "_rejected", "_inflight"}
    assert any("half_written" in path for path in world.planted)
    assert any("/weeks/" in path for path in world.planted)
    assert any(path.endswith("latest.html") for path in world.planted)
    assert {needle for hits in world.planted.values() for needle in hits} == set(NEEDLES)


def test_afterwards_nothing_of_the_person_is_in_any_file(world):
    assert world.left_at_once == {}


def test_it_says_what_it_did_and_nothing_of_the_person(world):
    cleared = world.did.cleared
    assert (world.did.tickets, world.did.addresses, world.did.problems, world.did.is_nowhere) == (2, 1, [], False)
    assert (cleared[AUDITS].files, cleared[AUDITS].rows) == (3, len(person_audits()))
    assert (cleared[METRIC].rows, cleared[f"_rejected/{AUDITS}"].rows) == (1, 2)
    assert all(cleared[folder].files for folder in ("ticket_snapshots", "sla_breach_report"))
    assert cleared[f"_inflight/segments/{AUDITS}"].files == 1


def test_a_dry_run_counts_the_same_and_changes_nothing(world):
    assert world.is_unchanged
    assert world.would.ledger is None
    assert (world.would.tickets, world.would.addresses) == (2, 1)
    assert world.would.cleared == world.did.cleared


def test_footers_say_which_days_were_blanked(world):
    footers = [read_raw_footer(world.store, AUDITS, day) for day in DAYS]
    assert sum(footer.forgotten_rows for footer in footers) == len(person_audits())
    assert {footer.forgotten_at for footer in footers} == {int(NOW)}


def test_rows_of_others_stay_as_they_were(world):
    wanted = {row["id"] for row in other_audits()}
    rows = {row["id"]: row for row in raw_rows(world.store, AUDITS, DAYS).to_pylist()}
    with SandboxServer(person_account(), clock=Moment(NOW)) as server:
        fresh = Office(FolderStore(world.store._root.parent / "fresh"), server, DAYS, now=NOW)
        fresh.fetch(AUDITS)
    before = {row["id"]: row for row in raw_rows(fresh.store, AUDITS, DAYS).to_pylist()}
    assert {row_id: rows[row_id] for row_id in wanted} == {row_id: before[row_id] for row_id in wanted}
    assert rows.keys() == before.keys()


def test_every_figure_is_as_before_when_all_is_made_again(world):
    """But for what isn't a word: tags with the address or the id, and free text in a custom field."""
    world.make_tables()
    after = world.figures()
    assert found_in(world.store, NEEDLES) == {}
    for key, rows in world.before.items():
        assert [row for row in after[key] if not _is_personal_figure(row)] == [
            _expected(row) for row in rows if not _is_personal_figure(row)
        ], key
    assert {key: rows for key, rows in after.items() if key[0] in SLA_TABLES} == {
        key: rows for key, rows in world.before.items() if key[0] in SLA_TABLES
    }


def _is_personal_figure(row):
    is_free_text = row.get("dimension") == f"custom_field:{FREE_TEXT}"
    return is_free_text or (row.get("dimension") == "tag" and _is_personal(row["value"]))


def _expected(row):
    if row.get("tags"):
        row = {**row, "tags": [tag for tag in row["tags"] if not _is_personal(tag)]}
    return {**row, f"custom_field:{FREE_TEXT}": None} if f"custom_field:{FREE_TEXT}" in row else row


def _is_personal(tag):
    return tag is not None and (ADDRESS in tag or str(PERSON) in tag)


def test_what_is_fetched_again_is_blanked_again(world):
    """The server still sends everything: days, rejected rows, snapshots, and names once the person is an agent."""
    world.account.listed = {"users": [{"id": PERSON, "name": NAME, "role": "agent"}]}
    for stream in STREAMS:
        world.fetch(stream)
    world.clock.now += 86_400
    world.ask([TICKET, EARLIER_TICKET, OTHER_TICKET])
    world.make_tables()
    assert found_in(world.store, NEEDLES) == {}
    assert hashes(world) == world.hashes
    kept = [content for path, content in contents(world).items() if path.startswith("_rejected")]
    assert len(kept) == 1
    assert b"somebody else's" in kept[0]


def test_verify_finds_the_days_whole(world):
    for stream in STREAMS.values():
        owner = owner_of(world.store, stream.name, DAYS, account=None, former=(), timezone="UTC")
        verified = list(verify_days(world.store, stream=stream, days=DAYS, owner=owner, now=NOW))
        assert [found.findings for found in verified] == [()] * 3


def test_forgetting_again_changes_nothing(world):
    before = contents(world)
    again = done(world)
    assert [folder for folder, cleared in again.cleared.items() if cleared.files] == []
    assert contents(world) == before


def contents(office):
    """Every finished file."""
    found = {}
    for path in office.store.paths(""):
        if not path.startswith("_inflight/passes"):
            with office.store.reader(path) as file:
                found[path] = file.read()
    return found
