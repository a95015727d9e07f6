"""`forget` in a bucket, on the simulated account, killed at any step, and as the command that a user types."""

from __future__ import annotations

import json
import shutil
from itertools import count

import pytest

from ticket_events_pipeline.forget.forget import Wanted, forget
from ticket_events_pipeline.quality.against_api import compare_with_api, draw_sample
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.fetches import Moment, client_at
from ticket_events_pipeline_tests.support.forget_roots import SLA_TABLES, Office, found_in, raw_rows
from ticket_events_pipeline_tests.support.killed_forget import killed_at
from ticket_events_pipeline_tests.support.person_account import (
    ADDRESS,
    CUSTOM,
    DAYS,
    EARLIER_TICKET,
    FREE_TEXT,
    NEEDLES,
    NOW,
    PERSON,
    TICKET,
    metric_events,
    other_audits,
    person_account,
    person_audits,
)

DIMENSIONS = (f"custom_field:{CUSTOM}", f"custom_field:{FREE_TEXT}")
AUDITS = "ticket_events"


def filled(store, server, **options) -> Office:
    office = Office(store, server, DAYS, now=NOW, **options)
    for stream in STREAMS:
        office.fetch(stream)
    office.make_tables()
    return office


def done(office, **wanted):
    return forget(office.store, office.settings, Wanted(**wanted), clock=office.clock, sleep=lambda _: None)


@pytest.fixture(scope="module")
def server():
    with SandboxServer(person_account(), clock=Moment(NOW), page_limit=5) as running:
        yield running


@pytest.mark.slow
def test_in_a_bucket_nothing_is_left_and_nothing_comes_back(s3_root, server):
    office = filled(open_store(s3_root), server, dimensions=DIMENSIONS)
    office.ask([TICKET, EARLIER_TICKET])
    office.fetch(AUDITS, DAYS, stop_after=1)
    before = office.figures(SLA_TABLES)
    assert len(found_in(office.store, NEEDLES)) > 20
    done(office, requesters=(PERSON,))
    assert found_in(office.store, NEEDLES) == {}
    for stream in STREAMS:
        office.fetch(stream)
    office.make_tables()
    office.ask([TICKET])
    assert found_in(office.store, NEEDLES) == {}
    assert office.figures(SLA_TABLES) == before


@pytest.mark.slow
def test_on_the_simulated_account_every_figure_is_as_before(tmp_path):
    """Row by row, in every table that holds figures; a requester and a ticket of another one."""
    account = SimulatedAccount(tickets_per_day=40)
    with SandboxServer(account, clock=Moment(NOW)) as server:
        office = filled(FolderStore(tmp_path), server)
        audits = raw_rows(office.store, AUDITS, DAYS).to_pylist()
        requesters = [found for row in audits if (found := _requester(row)) is not None]
        requester = max(set(requesters), key=requesters.count)
        ticket = next(row["ticket_id"] for row in audits if _requester(row) not in (None, requester))
        texts = [body for row in audits if row["ticket_id"] == ticket for body in _bodies(row)]
        before = office.figures()
        did = done(office, requesters=(requester,), tickets=(ticket,))
        assert did.tickets >= requesters.count(requester)
        assert found_in(office.store, [str(requester)]) == {}
        assert not any(_bodies(row) for row in raw_rows(office.store, AUDITS, DAYS).to_pylist() if row["ticket_id"] == ticket)
        assert texts
        office.make_tables()
        assert office.figures() == before
        for stream in STREAMS:
            office.fetch(stream)
        assert found_in(office.store, [str(requester)]) == {}
        _assert_equal_to_api(office, server)


def _assert_equal_to_api(office, server):
    for stream in STREAMS.values():
        sample = draw_sample(office.store, stream, DAYS, size=5, seed=1)
        with client_at(server.base_url, clock=office.clock, include_comments=True) as client:
            compared = list(compare_with_api(client, office.store, stream=stream, days=DAYS, sample=sample))
        assert sum(page.rows for page in compared) > 0
        assert [page.findings for page in compared] == [()] * len(compared)


def _requester(row):
    return next((child["requester_id"] for child in json.loads(row["child_events"]) if "requester_id" in child), None)


def _bodies(row):
    return [child["body"] for child in json.loads(row["child_events"]) if "body" in child]


@pytest.mark.slow
def test_killed_at_any_step_and_run_again_nothing_is_left(tmp_path, server):
    office = filled(FolderStore(tmp_path / "whole"), server, dimensions=DIMENSIONS)
    office.ask([TICKET, EARLIER_TICKET])
    office.fetch(AUDITS, DAYS, stop_after=1)
    before = office.figures(SLA_TABLES)
    places = 0
    for number in count(1, 7):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", root)
        was_killed = killed_at(number, root, PERSON, dimensions=DIMENSIONS)
        again = Office(FolderStore(root), server, DAYS, now=NOW, dimensions=DIMENSIONS)
        done(again, requesters=(PERSON,))
        assert found_in(again.store, NEEDLES) == {}, number
        again.make_tables()
        assert found_in(again.store, NEEDLES) == {}, number
        assert again.figures(SLA_TABLES) == before
        shutil.rmtree(root)
        if not was_killed:
            break
        places += 1
    assert places > 5


@pytest.mark.slow
def test_the_sensor_has_everything_made_again_and_no_figure_changes(tmp_path):
    """Through Dagster's assets: from the first blanked day on, and then nothing more is requested."""
    figures = (*SLA_TABLES, "sla_target_holders", "daily_ticket_durations")
    with deployed(tmp_path, now=NOW) as deployment:
        for stream, rows in {AUDITS: [*person_audits(), *other_audits()], "ticket_metric_events": metric_events()}.items():
            deployment.account.deliver(stream, rows)
        days = [str(day) for day in DAYS]
        deployment.fetch(days[0], days[-1])
        assert deployment.settle() == [(days[0], days[-1])]
        before = {(asset, day): deployment.table(asset, day).to_pylist() for asset in figures for day in days}
        restated = [deployment.footer("daily_sla_breach_summary", day)["restatements"] for day in days]
        assert found_in(deployment.store, [str(PERSON), "quittenbaum"]) != {}
        forget(deployment.store, RootSettings("", "UTC", None, None), Wanted(requesters=(PERSON,)), sleep=lambda _: None)
        assert found_in(deployment.store, [str(PERSON), "quittenbaum"]) == {}
        assert deployment.settle() == [(days[0], days[-1])]
        assert {(asset, day): deployment.table(asset, day).to_pylist() for asset in figures for day in days} == before
        assert [deployment.footer("daily_sla_breach_summary", day)["restatements"] for day in days] == restated
        assert found_in(deployment.store, [str(PERSON), "quittenbaum"]) == {}
        deployment.fetch(days[0], days[-1])
        assert deployment.settle() == []
        assert found_in(deployment.store, [str(PERSON), "quittenbaum"]) == {}


@pytest.fixture
def place(tmp_path, server):
    office = Office(FolderStore(tmp_path / "root"), server, DAYS, now=NOW)
    for stream in STREAMS:
        office.fetch(stream)
    return new_place(tmp_path)


@pytest.mark.slow
def test_the_command_says_what_it_did_and_repeats_nothing_personal(place):
    ended = place.ticket_events("forget", "--requester", str(PERSON), "--address", ADDRESS)
    assert ended.code == 0, ended.output
    assert "Found in the stored files: 2 tickets and 1 e-mail address of the requesters." in ended.output
    assert "Ledger: 1 requester, 2 tickets, 1 address." in ended.output
    assert "Not reached by this command" in ended.output
    assert "was found. Texts that name one stay" not in ended.output
    assert str(PERSON) not in ended.output
    assert ADDRESS not in ended.output
    assert found_in(FolderStore(place.root), NEEDLES) == {}
    nobody = place.ticket_events("forget", "--requester", str(PERSON + 1), "--dry-run").output
    assert "No e-mail address of the requesters was found. Texts that name one stay: give them with --address." in nobody
    assert "This run found nothing of it in the stored files." in nobody
    listed = json.loads(place.ticket_events("forget", "--list", "--json").output)
    assert listed["ledger"] == {"requesters": 1, "tickets": 2, "addresses": 1}


@pytest.mark.slow
def test_the_command_explains_wrong_usage_and_what_it_cannot_read(place):
    nothing = place.ticket_events("forget")
    assert (nothing.code, "--requester ID, --address ADDRESS or --ticket ID" in nothing.output) == (2, True)
    odd = place.ticket_events("forget", "--address", "marlene")
    assert (odd.code, "no e-mail address" in odd.output, "marlene" in odd.output) == (1, True, False)
    path = place.root / f"{AUDITS}/date={DAYS[0]}/{AUDITS}.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    document = json.loads(place.ticket_events("forget", "--ticket", "71", "--dry-run", "--json").output)
    assert document["is_dry_run"] is True
    assert len(document["problems"]) == 1
    assert place.ticket_events("forget", "--ticket", "71").code == 1
