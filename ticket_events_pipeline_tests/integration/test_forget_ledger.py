"""The ledger of what was forgotten: who writes it, what a fetch does without a readable one, and what comes later."""

from __future__ import annotations

import json
import threading

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DaysHeldError, NewerFileError, UsageError
from ticket_events_pipeline.forget.forget import Wanted, forget
from ticket_events_pipeline.forgotten.kept import KEPT_FIELDS, KEPT_IDS, TAGS
from ticket_events_pipeline.forgotten.ledger import LEDGER, TICKET, Ledger, add_to_ledger, read_ledger
from ticket_events_pipeline.ingest.lease import hold_days
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.fields import TRACKED_FIELDS
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.forget_roots import Office, found_in
from ticket_events_pipeline_tests.support.person_account import (
    ADDRESS,
    AGENT,
    DAYS,
    NEEDLES,
    NOW,
    PERSON,
    person_account,
)
from ticket_events_pipeline_tests.support.person_account import (
    TICKET as PERSONS_TICKET,
)

AUDITS = "ticket_events"


@pytest.fixture(scope="module")
def server():
    with SandboxServer(person_account(), clock=Moment(NOW), page_limit=5) as running:
        yield running


@pytest.fixture
def office(tmp_path, server):
    return Office(FolderStore(tmp_path / "root"), server, DAYS, now=NOW)


def forgotten(office, *, sleep=lambda _: None, **wanted):
    return forget(office.store, office.settings, Wanted(**wanted), clock=office.clock, sleep=sleep)


def test_what_is_kept_of_a_ticket_are_the_tracked_fields():
    """A field that is tracked one day must be kept then, too."""
    assert {*KEPT_FIELDS, *KEPT_IDS, TAGS, "channel"} == set(TRACKED_FIELDS)


def test_an_id_that_is_nowhere_is_blanked_when_it_comes(office):
    """Its tickets are learned from the pages: later audits of them, by others, are blanked too."""
    did = forgotten(office, requesters=(PERSON,), addresses=(ADDRESS,))
    assert (did.is_nowhere, did.tickets) == (True, 0)
    office.fetch(AUDITS, DAYS[:1])
    assert read_ledger(office.store).holds(TICKET, PERSONS_TICKET)
    office.fetch(AUDITS, DAYS)
    # Of the ticket whose Create was never stored, only what names the person.
    left = found_in(office.store, NEEDLES)
    assert {needle for hits in left.values() for needle in hits} <= {"quittenbaum", "Quittenbaum", "zebrafinch"}
    assert not any(str(PERSON) in hits or ADDRESS in hits for hits in left.values())


def test_the_ledger_says_nothing_that_can_be_read(office):
    forgotten(office, requesters=(PERSON,), addresses=(ADDRESS.upper(),), tickets=(71,))
    with office.store.reader(LEDGER) as file:
        content = file.read()
    ledger = read_ledger(office.store)
    assert str(PERSON).encode() not in content
    assert ADDRESS.encode() not in content.lower()
    assert ledger.holds("requester", PERSON)
    assert ledger.holds("address", ADDRESS)
    other = add_to_ledger(FolderStore(office.store._root / "other"), {TICKET: [71]})
    assert other.hashes[TICKET].isdisjoint(ledger.hashes[TICKET])


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda content: content[:-9], DamagedFileError),
        (lambda content: content.replace(b'"salt": "', b'"salt": "0'), DamagedFileError),
        (lambda _: b"[]", DamagedFileError),
        (lambda content: json.dumps({**json.loads(content), "version": 2}).encode(), NewerFileError),
    ],
    ids=["truncated", "changed", "other", "newer"],
)
def test_without_a_readable_ledger_nothing_is_fetched_or_forgotten(office, damage, error):
    add_to_ledger(office.store, {TICKET: [71]})
    path = office.store._root / LEDGER
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(error, match="ledger"):
        office.fetch(AUDITS)
    with pytest.raises(error):
        forgotten(office, tickets=(72,))
    assert office.store.paths(AUDITS) == []


def test_a_newer_ledger_is_called_one():
    newer = json.dumps({"version": 7, "sha256": ""}).encode()
    with pytest.raises(NewerFileError, match=r"it is a ledger of version 7, .* up to 1") as raised:
        Ledger.from_bytes(newer, "root/ledger.json")
    assert "columns" not in str(raised.value)


def test_entries_that_are_made_at_the_same_time_are_all_kept(tmp_path):
    def enter(first):
        for number in range(first, first + 10):
            add_to_ledger(FolderStore(tmp_path), {TICKET: [number]})

    threads = [threading.Thread(target=enter, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = read_ledger(FolderStore(tmp_path))
    assert all(ledger.holds(TICKET, first + number) for first in (0, 100) for number in range(10))
    assert ledger.count(TICKET) == 20


def test_a_fetch_that_began_before_is_waited_for_and_its_days_are_blanked(office):
    """It has read the old ledger: what it writes is blanked after it has ended."""
    has_page, may_end = threading.Event(), threading.Event()
    naps = []

    class Slow(Office):
        def fetch_slowly(self):
            self.fetch(AUDITS, DAYS, pause=lambda: (has_page.set(), may_end.wait(30)))

    slow = Slow(office.store, office.server, DAYS, now=NOW)
    thread = threading.Thread(target=slow.fetch_slowly)
    thread.start()
    assert has_page.wait(30)

    def sleep(_):
        naps.append(found_in(office.store, NEEDLES))
        may_end.set()
        thread.join()

    did = forgotten(office, requesters=(PERSON,), sleep=sleep)
    assert len(naps) == 1
    assert did.tickets == 2  # found after the fetch had ended
    assert found_in(office.store, NEEDLES) == {}


def test_a_fetch_that_does_not_end_is_named_and_the_entry_stands(office):
    lease = hold_days(office.store, AUDITS, [Day.parse("2026-05-01")], label="run 7", log=lambda _: None)
    try:
        with pytest.raises(DaysHeldError, match=r"\(run 7\).*stands in the ledger.*Run the same command again"):
            forgotten(office, requesters=(PERSON,), sleep=lambda _: lease.check_now())
    finally:
        lease.release()
    assert read_ledger(office.store).holds("requester", PERSON)


def test_an_agent_who_held_tickets_is_refused_and_nothing_is_entered(office):
    office.fetch(AUDITS)
    with pytest.raises(UsageError, match=rf"{AGENT} held tickets as an agent.*section Agents"):
        forgotten(office, requesters=(AGENT,))
    assert read_ledger(office.store) is None


def test_a_ticket_whose_creation_was_blanked_belongs_to_nobody_else(tmp_path):
    """Else forgetting a second person, who only commented, would blank all of it."""
    copied_in, commenter, agent = 900_000_001, 900_000_002, 900_000_003
    created = [{"id": 11, "requester_id": 900_000_004, "event_type": "Create"}, {"collaborator_ids": [copied_in]}]
    said = {agent: "words of the agent", commenter: "what was said"}
    rows = [{"id": 1, "ticket_id": 80, "timestamp": DAYS[0].start + 60, "updater_id": agent, "child_events": created}]
    for number, (author, body) in enumerate(said.items(), start=2):
        comment = {"id": 10 * number, "event_type": "Comment", "author_id": author, "body": body}
        time = DAYS[0].start + 60 * number
        rows.append({"id": number, "ticket_id": 80, "timestamp": time, "updater_id": author, "child_events": [comment]})
    with SandboxServer(RecordedAccount({AUDITS: rows}), clock=Moment(NOW)) as server:
        office = Office(FolderStore(tmp_path), server, DAYS[:1], now=NOW)
        office.fetch(AUDITS)
    assert forgotten(office, requesters=(copied_in,)).cleared[AUDITS].rows == 1
    assert forgotten(office, requesters=(commenter,)).tickets == 0
    assert set(found_in(office.store, [str(commenter), "what was said"])) == set()
    assert found_in(office.store, ["words of the agent"]) != {}


def test_a_tickets_number_is_no_users_id(office):
    """It is found in many texts: all of them would be blanked."""
    with pytest.raises(UsageError, match="To forget a ticket: --ticket 35436"):
        forgotten(office, requesters=(35436,))
    assert office.store.paths("") == []


def test_a_damaged_day_is_named_and_the_others_are_blanked(office):
    office.fetch(AUDITS)
    path = office.store._root / f"{AUDITS}/date={DAYS[0]}/{AUDITS}.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    did = forgotten(office, requesters=(PERSON,), tickets=(71,))
    assert len(did.problems) == 1
    assert f"Materialize {AUDITS} of {DAYS[0]} again" in did.problems[0]
    path.unlink()
    assert found_in(office.store, NEEDLES) == {}
