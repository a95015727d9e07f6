"""`zendesk_names` in Dagster: its job, its schedule, and that it stands in no other asset's way."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.sandbox.lookups import ROUTES, LookupWorld
from ticket_events_pipeline.settings import NAME_KINDS
from ticket_events_pipeline.tickets.names import read_names
from ticket_events_pipeline_tests.support.deployment import ASSETS, QUIET, REPORT, Deployment, deployed
from ticket_events_pipeline_tests.support.events import audit, event

FIRST, LAST = "2026-03-02", "2026-03-03"
NOW = Day.parse("2026-03-05").start
NAMES = dg.AssetKey("zendesk_names")


@contextmanager
def account(
    tmp_path: Path, variables: dict[str, str] | None = None, *, home: Path | None = None, **world: Any
) -> Iterator[Deployment]:
    with (
        deployed(tmp_path / "root", now=NOW, home=home, **world) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in (variables or {}).items():
            patch.setenv(name, value)
        running.account.listed["groups"] = [{"id": 1, "name": "Billing *bold*"}]
        running.account.listed["users"] = [
            {"id": 11, "name": "Ann", "role": "agent"},
            {"id": 12, "name": "Eve", "role": "end-user"},
        ]
        yield running


def refresh(running: Deployment) -> dg.ExecuteInProcessResult:
    return running.job("fetch_zendesk_names").execute_in_process(
        run_config=QUIET, instance=running.instance, raise_on_error=False
    )


def metadata(running: Deployment) -> dict[str, Any]:
    event_ = running.instance.get_latest_materialization_event(NAMES)
    assert event_ is not None
    assert event_.asset_materialization is not None
    return {name: value.value for name, value in event_.asset_materialization.metadata.items()}


def test_the_job_fetches_the_names_and_says_how_many(tmp_path: Path) -> None:
    """Agents only, no customers."""
    with account(tmp_path) as running:
        assert refresh(running).success
        shown = metadata(running)
        assert {kind: shown[kind] for kind in NAME_KINDS} == {**dict.fromkeys(NAME_KINDS, 0), "groups": 1, "agents": 1}
        assert shown["problems"] == "none"
        assert read_names(running.store).of("groups", 1) == "Billing *bold*"
        assert running.server.requests == []  # none of them counts as an export


def test_a_refused_kind_is_shown_and_the_others_are_made(tmp_path: Path) -> None:
    """In the metadata, too: a green run with a note."""
    with account(tmp_path, lookup_world=LookupWorld(refused=frozenset({"users"}))) as running:
        assert refresh(running).success
        shown = metadata(running)
        assert "agents" not in shown
        assert shown["problems"].startswith("- agents: GET")
        assert shown["groups"] == 1


def test_the_kinds_can_be_limited(tmp_path: Path) -> None:
    """Agents' names are personal data."""
    with account(tmp_path, {"ZENDESK_NAMES": "groups, brands"}) as running:
        assert refresh(running).success
        assert [seen.path for seen in running.server.account_requests] == ["/api/v2/groups", "/api/v2/brands"]
        assert [path for path in running.store.paths("") if path.startswith("zendesk_names")] == [
            "zendesk_names/brands.parquet",
            "zendesk_names/groups.parquet",
        ]


def test_names_can_be_turned_off(tmp_path: Path) -> None:
    """The run is green, makes nothing, records nothing, and the schedule skips."""
    with account(tmp_path, {"ZENDESK_NAMES": "none"}) as running:
        run = refresh(running)
        assert run.success
        assert running.server.account_requests == []
        assert running.instance.get_latest_materialization_event(NAMES) is None
        assert any("ZENDESK_NAMES is none" in record.user_message for record in running.instance.all_logs(run.run_id))


def tick(running: Deployment) -> dg.RunRequest | dg.SkipReason:
    at = dt.datetime.fromtimestamp(NOW, dt.UTC)
    context = dg.build_schedule_context(instance=running.instance, scheduled_execution_time=at)
    found = defs.resolve_schedule_def("refresh_names").evaluate_tick(context)
    return found.run_requests[0] if found.run_requests else dg.SkipReason(found.skip_message)


def test_the_schedule_requests_a_run_a_night_once_it_is_turned_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off as shipped, like the others; it skips where there is nothing to fetch, or a variable is wrong."""
    schedule = defs.resolve_schedule_def("refresh_names")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    (tmp_path / "home").mkdir()
    with account(tmp_path, home=tmp_path / "home") as running:
        request = tick(running)
        assert isinstance(request, dg.RunRequest)
        assert "dagster/partition" not in request.tags
        for value, words in (("none", "ZENDESK_NAMES is none"), ("rooms", "'rooms' is none of groups")):
            monkeypatch.setenv("ZENDESK_NAMES", value)
            skipped = tick(running)
            assert isinstance(skipped, dg.SkipReason)
            assert words in str(skipped.skip_message)


def all_assets_of_two_days(running: Deployment) -> dg.ExecuteInProcessResult:
    """What `--select '*' --partition-range` does."""
    for number, day in enumerate((FIRST, LAST)):
        running.account.deliver("ticket_events", [audit(number + 1, Day.parse(day).start + 60)])
        running.account.deliver("ticket_metric_events", [event(100 + number, f"{day}T09:00:00Z")])
    job = defs.resolve_implicit_global_asset_job_def()
    span = range_tags(Day.parse(FIRST), Day.parse(LAST))
    return job.execute_in_process(run_config=QUIET, instance=running.instance, tags=span, raise_on_error=False)


@pytest.mark.slow
def test_a_range_of_days_of_all_assets_is_one_run(tmp_path: Path) -> None:
    """An asset without partitions would make Dagster refuse the range, if it had no single-run policy."""
    with account(tmp_path) as running:
        assert all_assets_of_two_days(running).success
        assert metadata(running)["groups"] == 1
        for asset in [*ASSETS, REPORT]:
            assert running.recorded(asset) == {FIRST, LAST}


@pytest.mark.slow
def test_names_that_are_refused_leave_a_range_of_days_as_it_is(tmp_path: Path) -> None:
    """Their step fails; every other asset of the run has its days."""
    with account(tmp_path, lookup_world=LookupWorld(refused=frozenset(ROUTES))) as running:
        run = all_assets_of_two_days(running)
        assert [found.step_key for found in run.all_events if found.is_step_failure] == ["zendesk_names"]
        for asset in [*ASSETS, REPORT]:
            assert running.recorded(asset) == {FIRST, LAST}
