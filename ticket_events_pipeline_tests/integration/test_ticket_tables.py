"""The ticket tables in Dagster: the sensor makes them like the SLA tables, and none of them can withhold anything else."""

import shutil

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.runs import RANGE_END_TAG, RANGE_START_TAG
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.sla.footer_cache import MADE_AFTER_SUMMARY, SLA_TABLES, TICKET_TABLES
from ticket_events_pipeline_tests.support.deployment import REPORT, deployed
from ticket_events_pipeline_tests.support.events import audit, event

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]
LATER = Day.parse("2026-03-20").start
SUMMARY, AUDITS, METRIC_EVENTS = "daily_sla_breach_summary", "ticket_events", "ticket_metric_events"
CHANGES, DURATIONS = "ticket_field_changes", "daily_ticket_durations"


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=LATER) as running:
        deliver(running)
        yield running


@pytest.fixture
def made(deployment):
    deployment.fetch(DAYS[0], DAYS[-1])
    deployment.settle()
    return deployment


def deliver(deployment):
    """On each day a ticket that is created in a group and gets an SLA, which breaches on the day after."""
    for number, day in enumerate(DAYS, start=1):
        start = Day.parse(day).start
        created = {"event_type": "Create", "group_id": number, "assignee_id": 7, "priority": "high", "tags": ["a"]}
        deployment.account.deliver(AUDITS, [audit(number, start + 3600, ticket_id=number, child_events=[created])])
        deployment.account.deliver(METRIC_EVENTS, [event(number, f"{day}T09:00:00Z", ticket_id=number)])
    breached = [
        event(50 + number, f"{day}T10:00:00Z", "breach", ticket_id=number) for number, day in enumerate(DAYS[1:], start=1)
    ]
    deployment.account.deliver(METRIC_EVENTS, breached)


def days_of(deployment, table):
    folder = deployment.root / table
    return sorted(path.name.removeprefix("date=") for path in folder.glob("date=*")) if folder.exists() else []


def removed(deployment, tables, days):
    for table in tables:
        for day in days:
            shutil.rmtree(deployment.root / table / f"date={day}", ignore_errors=True)


def groups_of_breaches(deployment, day):
    rows = deployment.table("daily_sla_breaches_by_dimension", day).to_pylist()
    return {row["value"]: row["breaches"] for row in rows if row["dimension"] == "group" and row["breaches"]}


def selected(request):
    return None if request.asset_selection is None else {key.to_user_string() for key in request.asset_selection}


def span(request):
    return request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]


@pytest.mark.slow
def test_days_that_land_in_any_order_settle_with_all_ticket_tables(deployment):
    for day in (DAYS[2], DAYS[0], DAYS[1]):
        deployment.fetch(day)
        deployment.settle()
    assert [days_of(deployment, table) for table in TICKET_TABLES] == [DAYS] * len(TICKET_TABLES)
    assert [groups_of_breaches(deployment, day) for day in DAYS] == [{}, {"1": 1}, {"2": 1}]
    assert deployment.tick().run_requests == []


@pytest.mark.slow
def test_a_range_is_made_as_day_by_day(made, tmp_path_factory):
    tables = [(table, day) for table in MADE_AFTER_SUMMARY for day in DAYS]
    of_range = {one: made.footer(*one)["content_hash"] for one in tables}
    with deployed(tmp_path_factory.mktemp("single"), now=LATER) as single:
        deliver(single)
        for day in DAYS:
            single.fetch(day)
            assert single.run("summarize_sla_breaches", day).success
        assert {one: single.footer(*one)["content_hash"] for one in tables} == of_range
        assert single.tick().run_requests == []


@pytest.mark.slow
def test_audits_that_land_later_make_the_ticket_tables_again(deployment):
    deployment.materialize(METRIC_EVENTS, DAYS[0], DAYS[-1])
    deployment.settle()
    assert {deployment.footer(table, DAYS[1])["audits"] for table in MADE_AFTER_SUMMARY} == {"missing"}
    assert groups_of_breaches(deployment, DAYS[1]) == {None: 1}
    deployment.materialize(AUDITS, DAYS[0], DAYS[-1])
    deployment.settle()
    assert {deployment.footer(table, DAYS[1])["audits"] for table in MADE_AFTER_SUMMARY} == {"complete"}
    assert groups_of_breaches(deployment, DAYS[1]) == {"1": 1}
    assert days_of(deployment, CHANGES) == DAYS


@pytest.mark.slow
def test_an_upgraded_root_gets_no_ticket_tables_but_those_of_days_that_are_made_anyway(made):
    removed(made, TICKET_TABLES, DAYS)
    assert made.tick().run_requests == []
    made.account.deliver(METRIC_EVENTS, [event(99, f"{DAYS[2]}T11:00:00Z", "breach", ticket_id=3)])
    made.fetch(DAYS[2])
    assert made.settle() == [(DAYS[2], DAYS[2])]
    assert [days_of(made, table) for table in TICKET_TABLES] == [[DAYS[2]]] * len(TICKET_TABLES)


@pytest.mark.slow
def test_what_a_killed_run_left_out_is_made_without_the_sla_tables(made):
    sla_files = {path: content for path, content in made.files().items() if path.startswith(SLA_TABLES)}
    removed(made, ["sla_target_holders", DURATIONS], DAYS[1:])
    (request,) = made.tick().run_requests
    assert span(request) == (DAYS[1], DAYS[2])
    assert selected(request) == {*MADE_AFTER_SUMMARY, REPORT}
    assert made.run_requested(request).success
    assert days_of(made, DURATIONS) == DAYS
    assert {path: content for path, content in made.files().items() if path.startswith(SLA_TABLES)} == sla_files
    assert made.tick().run_requests == []


def test_field_changes_alone_are_made_again_where_they_alone_are_missing(made):
    removed(made, [CHANGES], DAYS[1:2])
    (request,) = made.tick().run_requests
    assert (request.job_name, span(request), selected(request)) == ("fetch_ticket_events", (DAYS[1], DAYS[1]), {CHANGES})
    requested = made.server.requests_made if hasattr(made.server, "requests_made") else None
    assert made.run_requested(request).success
    assert requested is None or made.server.requests_made == requested
    assert days_of(made, CHANGES) == DAYS
    assert made.tick().run_requests == []


@pytest.mark.slow
def test_a_failing_ticket_table_fails_its_own_step_and_is_given_up_after_three_runs(deployment):
    deployment.fetch(DAYS[0], DAYS[-1])
    (deployment.root / "sla_target_dimensions").write_text("in the way")  # a file in the place of a folder
    first = deployment.run("summarize_sla_breaches", DAYS[0], DAYS[-1])
    assert not first.success
    failed = {event.step_key for event in first.all_events if event.is_step_failure}
    assert failed == {"sla_target_dimensions"}
    for asset in (SUMMARY, REPORT, "sla_target_holders", DURATIONS):
        assert deployment.recorded(asset) == set(DAYS), asset
    attempts = 0
    while requests := deployment.tick().run_requests:
        (request,) = requests
        assert selected(request) == {*MADE_AFTER_SUMMARY, REPORT}
        assert not deployment.run_requested(request).success
        attempts += 1
    assert attempts == 3
    assert "3 runs have failed" in deployment.message


@pytest.mark.slow
def test_the_report_is_made_after_the_ticket_tables(deployment):
    deployment.fetch(DAYS[0])
    result = deployment.run("summarize_sla_breaches", DAYS[0])
    begun = [event.step_key for event in result.all_events if event.is_step_start]
    made_in_order = [step for step in begun if not step.endswith("_checks")]
    assert made_in_order == [*SLA_TABLES, *MADE_AFTER_SUMMARY, REPORT]


def test_the_days_summary_shows_its_breaches_by_group_and_by_agent(made):
    filters = dg.AssetRecordsFilter(dg.AssetKey(SUMMARY), asset_partitions=[DAYS[1]])
    (record,) = made.instance.fetch_observations(filters, limit=10).records
    shown = record.asset_observation.metadata
    assert list(shown) == ["by_group", "by_agent"]
    assert shown["by_group"].value.startswith("| Group")
    assert "| 1 | 1 |" in shown["by_group"].value


@pytest.mark.slow
def test_turned_off_there_are_no_ticket_tables_and_all_else_works(tmp_path):
    with deployed(tmp_path, now=LATER) as deployment, pytest.MonkeyPatch.context() as variables:
        variables.setenv("TICKET_EVENTS_TICKET_TABLES", "0")
        deployment.restart()
        graph = deployment.repository.asset_graph
        assert {key.to_user_string() for key in graph.get_all_asset_keys()}.isdisjoint(TICKET_TABLES)
        assert {key.asset_key.to_user_string() for key in graph.asset_check_keys}.isdisjoint(TICKET_TABLES)
        deliver(deployment)
        deployment.fetch(DAYS[0], DAYS[-1])
        assert deployment.settle() == [(DAYS[0], DAYS[-1])]
        assert deployment.recorded(REPORT) == set(DAYS)
        assert deployment.tick().run_requests == []
        assert [days_of(deployment, table) for table in TICKET_TABLES] == [[]] * len(TICKET_TABLES)


def test_with_a_malformed_switch_the_definitions_load_and_a_run_says_what_is_wrong(tmp_path):
    with deployed(tmp_path, now=LATER) as deployment, pytest.MonkeyPatch.context() as variables:
        variables.setenv("TICKET_EVENTS_TICKET_TABLES", "perhaps")
        assert account_definitions(account_scope()).get_repository_def().asset_graph.get_all_asset_keys()
        result = deployment.run("fetch_ticket_events", DAYS[0])
        assert not result.success
        failures = [
            event.step_failure_data.user_failure_data.description for event in result.all_events if event.is_step_failure
        ]
        assert "TICKET_EVENTS_TICKET_TABLES: 'perhaps' is neither 1 nor 0" in failures[0]
