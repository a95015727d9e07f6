"""A Dagster run of a day whose breach is of a ticket that no stored audit tells of: with a snapshot, and without."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.tickets.snapshots import read_status
from ticket_events_pipeline_tests.support.account_bench import whole_account
from ticket_events_pipeline_tests.support.deployment import Deployment, deployed
from ticket_events_pipeline_tests.support.events import audit, event
from ticket_events_pipeline_tests.support.scripted_server import Item, Recorded, ScriptedServer, hang

DAY = "2026-03-02"
NOW = Day.parse("2026-03-04").start
OLD = 7
"""A ticket that was created before the first stored day."""

TICKET = {
    "id": OLD,
    "subject": "A secret subject",
    "status": "open",
    "priority": None,
    "type": "incident",
    "group_id": 501,
    "assignee_id": 11,
    "organization_id": None,
    "brand_id": 21,
    "ticket_form_id": 31,
    "via": {"channel": "email"},
    "tags": ["vip"],
    "updated_at": "2026-02-20T09:00:00Z",
}


@dataclass
class Case:
    """A fetched day, and a server that answers for its tickets."""

    deployment: Deployment
    server: ScriptedServer
    environment: pytest.MonkeyPatch

    def summarize(self) -> dg.ExecuteInProcessResult:
        return self.deployment.run("summarize_sla_breaches", DAY)

    def values(self) -> dict[str, Any]:
        """The row of the breach."""
        (row,) = self.deployment.table("sla_target_dimensions", DAY).to_pylist()
        return {**row, "known_by": json.loads(row["known_by"] or "{}")}

    def log(self, run: dg.ExecuteInProcessResult) -> str:
        records = self.deployment.instance.all_logs(run.run_id)
        return "\n".join(record.user_message for record in records)


@contextmanager
def fetched_day(tmp_path: Path, answers: dict[str, Item] | None = None) -> Iterator[Case]:
    """The events of the day are fetched from one server, tickets from another; `answers` are its answers by member."""

    def serve(request: Recorded) -> Any:
        return whole_account({OLD: TICKET}, **(answers or {}))(request)

    with (
        deployed(tmp_path, now=NOW) as deployment,
        ScriptedServer([serve] * 50) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("ZENDESK_SUBDOMAIN", "acme")
        patch.setenv("ZENDESK_TIMEOUT_SECONDS", "1")
        day = Day.parse(DAY)
        deployment.account.deliver("ticket_events", [audit(1, day.start + 600, ticket_id=99)])
        deployment.account.deliver(
            "ticket_metric_events",
            [
                event(10, f"{DAY}T09:00:00Z", "activate", ticket_id=OLD),
                event(11, f"{DAY}T09:00:00Z", ticket_id=OLD),
                event(12, f"{DAY}T10:00:00Z", "breach", ticket_id=OLD),
            ],
        )
        deployment.fetch(DAY)
        patch.setenv("ZENDESK_BASE_URL", server.url)
        yield Case(deployment, server, patch)


def check_of(run: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = [check for check in run.get_asset_check_evaluations() if check.check_name == "snapshots_answered"]
    return found


@pytest.mark.slow
def test_a_snapshot_tells_who_held_an_old_ticket(tmp_path: Path) -> None:
    """One request; the values are known, and so is that there is no priority. Nothing else of the ticket is stored."""
    with fetched_day(tmp_path) as case:
        run = case.summarize()
        assert run.success
        row = case.values()
        told = ("group_id", "assignee_id", "brand_id", "ticket_form_id", "channel", "tags", "priority", "organization_id")
        assert [row[name] for name in told] == [501, 11, 21, 31, "email", ["vip"], None, None]
        assert {row["known_by"][name] for name in told} == {"snapshot"}
        assert [(request.path, request.query) for request in case.server.requests] == [
            ("/api/v2/tickets/show_many", {"ids": str(OLD)})
        ]
        assert check_of(run).passed
        assert "Asked Zendesk for 1 ticket" in case.log(run)
        assert not any(b"secret" in content for content in case.deployment.files().values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {}, {"error": "Forbidden"}), "403 (Forbidden)"),
        ((429, {"Retry-After": "900"}, "Too many requests"), "asks to wait 900 s"),
        (hang(30), "no answer within 1 s"),
        ((200, {}, "{"), "failed after 4 attempts"),
        ((401, {}, {"error": "Couldn't authenticate you"}), "Couldn't authenticate you"),
    ],
    ids=["403", "429", "slow", "broken", "401"],
)
def test_a_refusal_fails_nothing(tmp_path: Path, answer: Item, words: str) -> None:
    """The run is green, the values are unknown, the log says why, and one check warns."""
    with fetched_day(tmp_path, {"tickets": answer}) as case:
        run = case.summarize()
        assert run.success
        row = case.values()
        assert row["group_id"] is row["assignee_id"] is row["tags"] is None
        assert {"group_id", "assignee_id", "brand_id", "channel", "tags"} <= {
            field for field, how in row["known_by"].items() if how is None
        }
        assert words in case.log(run)
        assert "those values stay unknown" in case.log(run)
        broken = [check for check in run.get_asset_check_evaluations() if not check.passed]
        assert [check.check_name for check in broken] == ["snapshots_answered"]
        assert broken[0].severity == dg.AssetCheckSeverity.WARN
        assert words in str(broken[0].description)


@pytest.mark.slow
def test_once_zendesk_answers_the_check_is_green_again(tmp_path: Path) -> None:
    """The same day, made again, has the values."""
    answers: dict[str, Item] = {"tickets": (403, {}, "no")}
    with fetched_day(tmp_path, answers) as case:
        assert not check_of(case.summarize()).passed
        answers.clear()
        run = case.summarize()
        assert check_of(run).passed
        assert case.values()["group_id"] == 501


@pytest.mark.slow
def test_another_account_is_not_asked_for_these_tickets(tmp_path: Path) -> None:
    """Its tickets have the same numbers, and other groups."""
    with fetched_day(tmp_path) as case:
        case.environment.setenv("ZENDESK_SUBDOMAIN", "elsewhere")
        snapshots = pipeline_of(os.environ).snapshots(print)
        snapshots.ask([OLD], ["group_id"])
        assert "its files have acme, this fetch has elsewhere" in snapshots.problems[0]
        assert case.server.requests == []


@pytest.mark.slow
def test_snapshots_can_be_turned_off(tmp_path: Path) -> None:
    """No request, no warning."""
    with fetched_day(tmp_path) as case:
        case.environment.setenv("ZENDESK_SNAPSHOTS", "0")
        run = case.summarize()
        assert run.success
        assert check_of(run).passed
        assert case.server.requests == []
        assert read_status(case.deployment.store) is None
        assert case.values()["group_id"] is None


@pytest.mark.slow
def test_without_credentials_the_tables_are_made_and_nothing_is_asked(tmp_path: Path) -> None:
    """The stored files are all that the tables need."""
    with fetched_day(tmp_path) as case:
        case.environment.delenv("ZENDESK_OAUTH_TOKEN")
        run = case.summarize()
        assert run.success
        assert check_of(run).passed
        assert case.server.requests == []
