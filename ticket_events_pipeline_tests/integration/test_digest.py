"""The morning digest of roots with real tables, and its job and schedule in a real Dagster."""

from __future__ import annotations

import datetime as dt
from shutil import copytree

import dagster as dg
import pytest

from ticket_events_pipeline.alerts.plain_text import plain_text
from ticket_events_pipeline.alerts.slack import slack_payload
from ticket_events_pipeline.alerts.teams import teams_payload
from ticket_events_pipeline.defs.digest import morning_digest, send_morning_digest
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.report.digest import DigestLinks, digest_message
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.alert_receiver import OK, PATH, SECRET, receiving
from ticket_events_pipeline_tests.support.deployment import ScheduleContext
from ticket_events_pipeline_tests.support.dimension_cases import BILLING, SALES, SECOND_LEVEL
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE
from ticket_events_pipeline_tests.support.messages import check_slack, check_teams
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_audits, put_raw_day, sla_root
from ticket_events_pipeline_tests.support.ticket_days import audit, make_ticket_days, put_names

DAY, NEXT = Clock.DAY, Clock.DAY.plus(1)
LINKS = DigestLinks("http://127.0.0.1:3000", "daily_sla_breach_summary")
NAMES = {BILLING: "Billing", SECOND_LEVEL: "Second level", SALES: "Sales"}


def breached(*tickets):
    return [Clock(ticket, first_id=10 * ticket).add("activate", 9).apply(9, 60).add("breach", 10) for ticket in tickets]


def created(ticket, group):
    return audit(1000 * ticket, ticket, 8, "Create", group_id=group)


GROUPS = {1: BILLING, 2: BILLING, 3: BILLING, 4: SECOND_LEVEL, 5: None, 6: SALES}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A day with breaches of three groups, one of no group, and one of a ticket whose audits are older than the root."""
    root = tmp_path_factory.mktemp("made")
    audits = [created(ticket, group) for ticket, group in GROUPS.items()]
    sla_root(root, all_events(*breached(*GROUPS, 7)), DAY, DAY, audits=audits)
    make_ticket_days(root, DAY, DAY)
    put_names(root, "groups", NAMES, at=DAY.end, deleted=[SALES])
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy that the test may change."""
    return copytree(made, tmp_path / "root")


def digest_of(root, day=DAY, links=LINKS, **settings):
    made = RootSettings(root=str(root), timezone="UTC", account="acme", tickets_url=None, min_targets=3, **settings)
    return digest_message(FolderStore(root), made, day, links)


def lines_of(*args, **more):
    return plain_text(digest_of(*args, **more)).split("\n")


def test_a_digest_has_the_headline_the_worst_groups_and_a_link(root):
    assert lines_of(root, report_url="https://reports.example") == [
        "SLA digest of `acme`: Monday, 2 March 2026",
        "• 7 targets breached.",
        "• ✗ Below the goal of 95%: Requester wait time 0%.",
        "• 7 targets were late and open at the end of the day.",
        "Most breaches by group, at the moment of the breach",
        "• `Billing`: 3 breaches – Requester wait time: 3 of 3 targets breached, 0% met",
        "• `Sales` (deleted): 1 breach – Requester wait time: 1 of 1 target breached",
        "• `Second level`: 1 breach – Requester wait time: 1 of 1 target breached",
        "• no group: 1 breach – Requester wait time: 1 of 1 target breached",
        "• unknown group: 1 breach – Requester wait time: 1 of 1 target breached",
        f"The report of the day (https://reports.example/date={DAY}/sla_breach_report.html)",
    ]


def test_the_link_leads_to_dagster_where_no_report_is_served_and_is_left_out_without_both(root):
    address = f"http://127.0.0.1:3000/assets/daily_sla_breach_summary?partition={DAY}&view=partitions"
    assert lines_of(root)[-1] == f"The day in Dagster ({address})"
    assert lines_of(root, links=DigestLinks(None, "x"))[-1].startswith("• unknown group")


def test_more_groups_than_five_are_counted(tmp_path):
    groups = {ticket: 500 + ticket // 2 for ticket in range(2, 18)}
    audits = [created(ticket, group) for ticket, group in groups.items()]
    sla_root(tmp_path, all_events(*breached(*groups)), DAY, DAY, audits=audits)
    make_ticket_days(tmp_path, DAY, DAY)
    lines = lines_of(tmp_path)
    assert [line.split(":")[0] for line in lines[5:10]] == [f"• `{number}`" for number in range(501, 506)]
    assert lines[10] == "• 3 more groups: 6 breaches"


def test_a_day_that_is_missing_or_open_has_no_figures(root):
    put_raw_day(root, all_events(*breached(21)), NEXT, now=NEXT.start + 12 * 3600)
    assert lines_of(root, NEXT)[1:-1] == ["• This day has no figures yet: its tables have not been made."]
    put_audits(root, [], NEXT, now=NEXT.start + 12 * 3600)
    make_sla_days(root, NEXT, NEXT)
    assert lines_of(root, NEXT)[1:-1] == [
        "• This day has not been read to its end, only to 2026-03-03 12:00 UTC: its figures would be too low."
    ]


def test_a_damaged_day_has_no_figures_and_damaged_ticket_tables_no_groups(root):
    (root / partition_path("daily_sla_breaches_by_dimension", DAY)).write_bytes(b"PAR1")
    unknown = [
        "Most breaches by group, at the moment of the breach",
        "• Not known: the day's ticket tables are not made, or can't be read.",
    ]
    assert lines_of(root)[4:-1] == unknown
    (root / partition_path("daily_sla_breaches_by_dimension", DAY)).unlink()
    assert lines_of(root)[1] == "• 7 targets breached."
    assert lines_of(root)[4:-1] == unknown
    (root / partition_path("daily_sla_breach_summary", DAY)).write_bytes(b"PAR1")
    assert "can't be read" in lines_of(root)[1]
    assert len(lines_of(root)) == 3


def test_hostile_names_of_groups_do_nothing(tmp_path):
    groups = {ticket: 500 + ticket for ticket in range(1, len(HOSTILE) + 1)}
    audits = [created(ticket, group) for ticket, group in groups.items()]
    sla_root(tmp_path, all_events(*breached(*groups)), DAY, DAY, audits=audits)
    make_ticket_days(tmp_path, DAY, DAY)
    names = [text.encode("utf-8", "replace").decode() for text in HOSTILE]  # Parquet holds no lone surrogates
    put_names(tmp_path, "groups", dict(zip(groups.values(), names, strict=True)), at=DAY.end)
    message = digest_of(tmp_path)
    check_slack(slack_payload(message, has_blocks=True))
    check_teams(teams_payload(message))
    assert plain_text(message).replace("\n", "").isprintable()


class Morning:
    """The job of an account whose root is there, at half past seven of the day after."""

    def __init__(self, root, **urls):
        self.env = {"TICKET_EVENTS_ROOT": str(root), "ZENDESK_SUBDOMAIN": "acme", **urls}
        self.slept = []
        self.scope = account_scope("", lambda: self.env)
        self.job = send_morning_digest(self.scope, clock=lambda: NEXT.start + 7.5 * 3600, sleep=self.slept.append)

    def run(self, instance):
        ended = self.job.execute_in_process(instance=instance, raise_on_error=False)
        written = "".join(str(entry) for entry in instance.all_logs(ended.run_id))
        assert SECRET not in written
        return ended.success, written


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def test_the_job_sends_the_digest_of_yesterday_to_every_destination(root, instance):
    with receiving() as first, receiving() as second:
        morning = Morning(root, TICKET_EVENTS_ALERT_WEBHOOK=first.url, TICKET_EVENTS_NOTIFY_URLS=f"{second.url},{first.url}")
        is_success, written = morning.run(instance)
        assert is_success
    assert first.texts == second.texts
    assert first.texts[0].startswith("*SLA digest* of `acme`: Monday, 2 March 2026\n• *7 targets breached.*")
    assert "was accepted by destination 2 (webhook)" in written
    assert morning.slept == []


def test_a_destination_that_accepted_it_gets_it_once_and_one_that_does_later_is_no_failure(root, instance):
    with receiving() as first, ScriptedServer([(503, {"Retry-After": "60"}, ""), OK]) as second:
        morning = Morning(root, TICKET_EVENTS_NOTIFY_URLS=f"{first.url},{second.url}{PATH}")
        assert morning.run(instance)[0]
    assert (len(first.texts), len(second.requests), morning.slept) == (1, 2, [60.0])


def test_a_failed_delivery_is_a_failed_run_that_names_the_destination_and_is_not_retried(root, instance):
    with receiving() as first, receiving((404, {}, "no_service")) as second, receiving((503, {}, "")) as third:
        morning = Morning(root, TICKET_EVENTS_NOTIFY_URLS=",".join(server.url for server in (first, second, third)))
        is_success, written = morning.run(instance)
    assert not is_success
    assert "destination 2 (webhook): 404 no_service (see TICKET_EVENTS_NOTIFY_URLS)" in written
    assert "destination 3 (webhook): 503 (see TICKET_EVENTS_NOTIFY_URLS)" in written
    assert (len(first.texts), len(second.texts), len(third.texts)) == (1, 1, 3)
    assert morning.slept == [5.0, 30.0]
    assert morning.job.tags["dagster/max_retries"] == "0"


def test_without_a_destination_the_schedule_skips_and_the_run_fails(root, instance):
    morning = Morning(root)
    assert not morning.run(instance)[0]
    schedule = morning_digest(morning.scope)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 7 * * *", morning.scope.timezone)
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    at = dt.datetime(2026, 3, 3, 7, 30, tzinfo=dt.UTC)
    answer = schedule(ScheduleContext(instance, at))
    assert "TICKET_EVENTS_ALERT_WEBHOOK is not set" in answer.skip_message
    morning.env["TICKET_EVENTS_NOTIFY_URLS"] = "https://chat.example/x"
    assert isinstance(schedule(ScheduleContext(instance, at)), dg.RunRequest)
