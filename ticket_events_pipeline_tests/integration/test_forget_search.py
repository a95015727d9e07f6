"""What `forget` finds to be a person's where audits are gone, and who it refuses as an agent."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack

import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.forget.forget import Wanted, forget
from ticket_events_pipeline.forgotten.ledger import TICKET, read_ledger
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.pruned_days import PrunedDays, write_pruned_days
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.forget_roots import Office, found_in
from ticket_events_pipeline_tests.support.person_account import ADDRESS, CUSTOM, DAYS, FREE_TEXT, NOW, SECRET, person_account
from ticket_events_pipeline_tests.support.person_account import TICKET as PERSONS_TICKET

AUDITS = "ticket_events"
PERSON, AGENT, CUSTOMER = 903_417_556_208, 700_000_000_001, 800_000_000_001


def audit(number, ticket, day, updater, *children):
    listed = [{"id": number + place, "via": "Mail", "event_type": "Change", **one} for place, one in enumerate(children, 1)]
    time = DAYS[day].start + 3600 + number
    row = {"id": number, "ticket_id": ticket, "timestamp": time, "updater_id": updater, "event_type": "Audit"}
    return {**row, "child_events": listed}


def created(number, ticket, requester, **fields):
    children = [{"event_type": "Create", name: value} for name, value in {"requester_id": requester, **fields}.items()]
    return audit(number, ticket, 0, AGENT, *children)


def comment(body, author):
    return {"event_type": "Comment", "type": "Comment", "body": body, "author_id": author}


@pytest.fixture
def filled(tmp_path):
    """Makes a root of some audits and their changes; `agents` have names, and of `tickets` there are snapshots."""
    with ExitStack() as stack:

        def fill(*audits, agents=(), tickets=()):
            account = RecordedAccount({AUDITS: sorted(audits, key=lambda row: row["timestamp"])})
            account.listed = {"users": [{"id": one, "name": "Ann", "role": "agent"} for one in agents]}
            account.current_tickets = {one["id"]: one for one in tickets}
            server = stack.enter_context(SandboxServer(account, clock=Moment(NOW)))
            office = Office(FolderStore(tmp_path / "root"), server, DAYS, now=NOW)
            office.fetch(AUDITS)
            list(make_changes(office.store, list(DAYS)))
            if agents or tickets:
                office.ask([one["id"] for one in tickets])
            return office

        yield fill


def forgotten(office, *, dry_run=False, **wanted):
    clock = office.clock
    return forget(office.store, office.settings, Wanted(**wanted), dry_run=dry_run, clock=clock, sleep=lambda _: None)


def without_audits(office, day=None):
    folder = office.store._root / AUDITS
    shutil.rmtree(folder if day is None else folder / f"date={day}")


def test_after_the_audits_are_gone_tickets_are_found_by_their_changes(filled):
    """And stay known: the ledger has them."""
    office = filled(
        created(10, 81, PERSON, subject="a zebrafinch"),
        audit(20, 81, 1, AGENT, {"subject": "two zebrafinches", "previous_value": "a zebrafinch"}),
        created(30, 82, CUSTOMER, subject="a printer"),
        audit(40, 82, 1, AGENT, {"requester_id": CUSTOMER, "previous_value": str(PERSON)}),
        created(50, 83, CUSTOMER, subject="a kettle"),
        audit(60, 83, 1, CUSTOMER, {"collaborator_ids": [PERSON]}, {"note": "copy it to the zebrafinch"}),
    )
    without_audits(office)
    did = forgotten(office, requesters=(PERSON,))
    assert (did.tickets, did.problems) == (2, [])
    assert did.not_searched == ["audits of 3 days from 2026-03-02 to 2026-03-04, which are not stored"]
    assert found_in(office.store, ["zebrafinch", "a printer", str(PERSON)]) == {}
    assert found_in(office.store, ["a kettle"]) != {}
    assert all(read_ledger(office.store).holds(TICKET, ticket) for ticket in (81, 82))


def test_a_ticket_whose_creation_is_gone_is_found_by_the_changes_of_that_day(filled):
    office = filled(
        created(10, 81, PERSON, subject="Q"),
        audit(20, 81, 1, AGENT, comment("Dear Marlene, your zebrafinch", AGENT)),
        created(30, 82, CUSTOMER, subject="Q"),
        audit(40, 82, 1, PERSON, comment("I was copied in", PERSON)),
        audit(50, 82, 2, AGENT, comment("Dear customer, your kettle", AGENT)),
    )
    without_audits(office, DAYS[0])
    did = forgotten(office, requesters=(PERSON,))
    assert did.tickets == 1
    assert did.not_searched == ["audits of 2026-03-02, which are not stored"]
    assert found_in(office.store, ["zebrafinch", "copied in"]) == {}
    assert found_in(office.store, ["kettle"]) != {}  # the changes say that the ticket is somebody else's


def test_an_address_that_is_set_with_the_requester_is_theirs(filled):
    """Not `recipient`, which is mostly an address of the account's own: all that names it would be blanked."""
    own = {"event_type": "Create", "recipient": "desk@acme.example.com"}
    requester = {"event_type": "Create", "requester_id": PERSON, "requester": {"email": "Marlene@Example.org"}}
    office = filled(
        audit(10, 81, 0, AGENT, requester, own),
        created(20, 82, CUSTOMER, subject="a kettle"),
        audit(30, 82, 1, CUSTOMER, comment("I asked marlene@example.org", CUSTOMER)),
        audit(40, 82, 1, CUSTOMER, comment("and desk@acme.example.com", CUSTOMER)),
    )
    assert forgotten(office, requesters=(PERSON,)).addresses == 1
    assert found_in(office.store, ["I asked", "marlene@"]) == {}
    assert found_in(office.store, ["and desk@acme"]) != {}


def test_an_agent_is_known_by_name(filled):
    """Else a note in a ticket from before the stored days would make the customer's whole ticket theirs."""
    office = filled(
        audit(10, 99, 1, AGENT, comment("a note", AGENT)),
        audit(20, 99, 2, CUSTOMER, comment("the customer's words", CUSTOMER)),
        agents=[AGENT],
    )
    with pytest.raises(UsageError, match=rf"{AGENT} has a name in zendesk_names/agents.parquet.*section Agents"):
        forgotten(office, requesters=(AGENT,))
    assert read_ledger(office.store) is None
    assert found_in(office.store, ["a note"]) != {}


def test_one_who_was_forgotten_before_becoming_an_agent_is_not_refused(filled):
    """A run that had read the ledger before may have stored the name: the command is run again."""
    office = filled(audit(10, 99, 1, PERSON, comment("a note", PERSON)), agents=[PERSON])
    names = office.store._root / "zendesk_names/agents.parquet"
    content = names.read_bytes()
    names.unlink()
    forgotten(office, requesters=(PERSON,))
    names.write_bytes(content)
    assert forgotten(office, requesters=(PERSON,)).cleared["zendesk_names"].rows == 1
    assert found_in(office.store, [str(PERSON)]) == {}


@pytest.mark.parametrize("held_by", ["audit", "changes", "snapshot"])
def test_an_agent_who_held_a_ticket_is_refused_by_any_file_that_says_so(filled, held_by):
    tickets = [{"id": 99, "assignee_id": AGENT, "tags": [], "custom_fields": []}] if held_by == "snapshot" else []
    children = [{"assignee_id": None, "previous_value": str(AGENT)}] if held_by != "snapshot" else [{"priority": "low"}]
    office = filled(audit(10, 99, 1, CUSTOMER, *children), tickets=tickets)
    if held_by == "changes":
        without_audits(office)
    with pytest.raises(UsageError, match=rf"{AGENT} held tickets as an agent"):
        forgotten(office, requesters=(AGENT,))


def test_the_custom_fields_that_stored_tables_track_are_kept_without_the_variable(tmp_path):
    """The command may be typed where the pipeline's variables aren't set; figures by the field must not change."""
    by_field = "daily_sla_breaches_by_dimension"
    with SandboxServer(person_account(), clock=Moment(NOW)) as server:
        office = Office(FolderStore(tmp_path), server, DAYS, now=NOW, dimensions=(f"custom_field:{CUSTOM}",))
        for stream in STREAMS:
            office.fetch(stream)
        office.make_tables()
        before = office.figures([by_field])
        assert found_in(office.store, ["refund"]) != {}
        office.settings = office.settings._replace(dimensions=())
        forgotten(office, requesters=(PERSON,), tickets=(PERSONS_TICKET,))
        office.settings = office.settings._replace(dimensions=(f"custom_field:{CUSTOM}",))
        office.make_tables()
    assert {key: rows for key, rows in office.figures([by_field]).items() if rows} == {
        key: [row for row in rows if ADDRESS not in str(row["value"]) and str(PERSON) not in str(row["value"])]
        for key, rows in before.items()
        if rows
    }


def test_figures_by_dimension_stay_where_the_days_targets_were_pruned(tmp_path):
    """They can't be made again: only those of values that are gone go."""
    by_dimension = "daily_sla_breaches_by_dimension"
    with SandboxServer(person_account(), clock=Moment(NOW)) as server:
        office = Office(FolderStore(tmp_path), server, DAYS, now=NOW, dimensions=(f"custom_field:{FREE_TEXT}",))
        for stream in STREAMS:
            office.fetch(stream)
        office.make_tables()
        before = office.figures([by_dimension])
        assert any(row["value"] == SECRET for rows in before.values() for row in rows)
        shutil.rmtree(tmp_path / "sla_targets")
        for _ in range(2):
            forgotten(office, requesters=(PERSON,), tickets=(PERSONS_TICKET,))
            after = office.figures([by_dimension])
            for key, rows in before.items():
                lost = [row for row in rows if row not in after[key]]
                assert {row["dimension"] for row in lost} <= {"tag", f"custom_field:{FREE_TEXT}"}
                assert all(SECRET in row["value"] or str(PERSON) in row["value"] or "@" in row["value"] for row in lost), lost
        assert found_in(office.store, [SECRET, ADDRESS, str(PERSON)]) == {}


def test_a_backfill_that_shows_new_tickets_says_that_stored_days_may_hold_more(filled):
    """Of them it can't blank other days. The line names nobody, and the same command completes it."""
    office = filled(
        created(10, 81, PERSON, subject="Q"),
        created(20, 84, PERSON, subject="Q"),
        audit(30, 81, 1, AGENT, comment("Dear Marlene, your zebrafinch", AGENT)),
    )
    shutil.rmtree(office.store._root / "ticket_field_changes")
    without_audits(office, DAYS[0])
    assert forgotten(office, requesters=(PERSON,)).tickets == 0
    lines = []
    office.fetch(AUDITS, DAYS[:1], log=lines.append)
    (line,) = [line for line in lines if "forgotten" in line]
    assert "run the same `ticket-events forget --requester …` again" in line
    assert str(PERSON) not in line
    assert found_in(office.store, ["zebrafinch"]) != {}
    forgotten(office, requesters=(PERSON,))
    assert found_in(office.store, ["zebrafinch"]) == {}
    office.fetch(AUDITS, log=lines.append)
    assert sum("forgotten" in line for line in lines) == 1


def test_only_pages_that_show_something_of_it_are_removed(filled):
    """A page of a closed day isn't made again."""
    office = filled(created(10, 81, PERSON, subject="a zebrafinch"), created(20, 82, CUSTOMER, subject="a kettle"))
    contents = [
        '<span class="number">#81</span> <bdi>a zebrafinch</bdi>',
        f"written to {PERSON}",
        '<span class="number">#81</span>, <span class="number">#82</span> <bdi>a kettle</bdi>',
    ]
    folder = office.store._root / "sla_breach_report"
    pages = [folder / f"date={day}/sla_breach_report.html" for day in DAYS]
    for page, content in zip(pages, contents, strict=True):
        page.parent.mkdir(parents=True)
        page.write_text(content)
    (folder / "latest.html").write_text("of day 2")
    write_pruned_days(office.store, PrunedDays({}, DAYS[1].date))
    would = forgotten(office, dry_run=True, requesters=(PERSON,))
    assert all(page.exists() for page in pages)
    did = forgotten(office, requesters=(PERSON,))
    assert [page.exists() for page in pages] == [False, False, True]
    assert (folder / "latest.html").read_text() == contents[2]
    for found in (would, did):
        assert (found.cleared["sla_breach_report"].files, found.closed_pages) == (2, 1)


def test_the_status_does_not_miss_a_removed_report_of_a_closed_day(tmp_path, monkeypatch):
    """Nothing would make it again."""
    for day in (DAYS[0], DAYS[2]):
        page = tmp_path / f"sla_breach_report/date={day}/sla_breach_report.html"
        page.parent.mkdir(parents=True)
        page.write_text("")
    for name, value in {"TICKET_EVENTS_ROOT": str(tmp_path), "DAGSTER_HOME": ""}.items():
        monkeypatch.setenv(name, value)

    def missing():
        found = json.loads(CliRunner().invoke(commands, ["status", "--json"]).stdout)
        return found["stored"]["sla_breach_report"]["missing"]

    assert missing() == [[str(DAYS[1])] * 2]
    write_pruned_days(FolderStore(tmp_path), PrunedDays({}, DAYS[2].date))
    assert missing() == []


def test_a_page_with_the_subject_of_somebody_elses_ticket_goes_if_that_is_blanked(filled):
    office = filled(created(10, 82, CUSTOMER, subject="Marlene's kettle", collaborator_ids=[PERSON]))
    page = office.store._root / f"sla_breach_report/date={DAYS[0]}/sla_breach_report.html"
    page.parent.mkdir(parents=True)
    page.write_text('<span class="number">#82</span> <bdi>Marlene&#39;s kettle</bdi>')
    forgotten(office, requesters=(PERSON,))
    assert not page.exists()


def test_an_agent_who_held_a_ticket_is_refused_by_each_ticket_table(tmp_path):
    """Also where it is all that is left."""
    with SandboxServer(person_account(), clock=Moment(NOW)) as server:
        office = Office(FolderStore(tmp_path / "root"), server, DAYS, now=NOW)
        for stream in STREAMS:
            office.fetch(stream)
        office.make_tables()
    for table in ("ticket_states", "sla_target_dimensions", "sla_target_holders"):
        shutil.copytree(tmp_path / "root" / table, tmp_path / "only" / table / table)
        office.store = FolderStore(tmp_path / "only" / table)
        with pytest.raises(UsageError, match=rf"{AGENT} held tickets as an agent"):
            forgotten(office, requesters=(AGENT,))
