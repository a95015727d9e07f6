"""Whatever customers write into an account shows as plain text, in a real browser and in the terminal."""

from pathlib import Path

import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.browser import opened_browser
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.dev_server import running_ui

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TEXT = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1> **bold** [a](javascript:window.pwned=1) | `c`"
DAY = Day.containing(wall_clock()).plus(-1)
SUMMARY = "daily_sla_breach_summary"


def metric_event(number, kind, hour, **more):
    row = {"id": number, "ticket_id": 7, "metric": "reply_time", "instance_id": 1, "type": kind}
    return {**row, "time": f"{DAY}T{hour:02}:00:00Z", **more}


def events():
    policy = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": TEXT}}
    metric = [
        metric_event(1, "activate", 8),
        metric_event(2, "apply_sla", 8, sla=policy),
        metric_event(3, "breach", 9),
        metric_event(4, TEXT, 10),  # a type that is unknown
        metric_event(5, "update_status", 10, **{TEXT: 1}),  # a field that is unknown
    ]
    created = {"id": 70, "event_type": "Create", "subject": TEXT, "priority": TEXT}
    comment = {"id": 71, "event_type": "Comment", "body": TEXT, "html_body": TEXT, "public": True}
    audit = {
        "id": 8,
        "ticket_id": 7,
        "timestamp": DAY.start + 8 * 3600,
        "event_type": "Audit",
        "child_events": [created, comment],
    }
    return {"ticket_metric_events": metric, "ticket_events": [{**audit, "child_events": [created, comment]}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with SandboxServer(RecordedAccount(events())) as server:
        place = new_place(tmp_path_factory.mktemp("hostile"), server, ZENDESK_INCLUDE_COMMENTS="1")
        ended = place.materialize("*", str(DAY))
        assert ended.code == 0, ended.output[-3000:]
        yield place


@pytest.fixture(scope="module")
def ui(place):
    with running_ui(place) as running:
        yield running


def was_run(page):
    page.wait_for_timeout(500)  # an image that fails to load runs its handler a moment later
    return page.evaluate("window.pwned") is not None or page.locator("script", has_text="window.pwned").count() > 0


def test_it_shows_as_text_in_the_report(place):
    made = place.ticket_events("report", "--date", str(DAY))
    with opened_browser(runs_any_script=True) as page:
        page.goto(Path(made.output.splitlines()[0]).as_uri())
        table = page.get_by_role("table").filter(has_text="Late for").first
        assert table.inner_text().count(TEXT) >= 2  # the subject, and the policy
        assert not was_run(page)


def test_it_shows_as_text_in_the_table_of_the_ui(ui):
    with opened_browser(width=1500, height=1400) as page:
        page.goto(f"{ui.url}/assets/{SUMMARY}?view=partitions&partition={DAY}")
        page.get_by_text("[Show Markdown]").first.click(timeout=60_000)
        cell = page.locator("tr", has_text="First reply time").last.get_by_role("cell").nth(1)
        assert cell.inner_text().replace("\n", " ").startswith(TEXT)
        assert cell.locator("img, a, strong, code, script").count() == 0
        assert not was_run(page)


def test_it_shows_as_text_in_the_checks_of_the_ui(ui):
    with opened_browser(width=1500, height=1400) as page:
        page.goto(f"{ui.url}/assets/ticket_metric_events?view=checks&checkDetail=no_unknown_fields_or_values")
        page.get_by_text("Unknown to this version").wait_for(timeout=60_000)
        page.get_by_text("<script>window.pwned=1</script>").first.wait_for()
        assert page.locator("main img[src=x], main a[href^=javascript]").count() == 0
        assert not was_run(page)


def test_it_shows_as_text_in_the_terminal(place):
    printed = place.ticket_events("summary", "--from", str(DAY), "--to", str(DAY), "--format", "csv").output
    assert TEXT.replace('"', '""') in printed
    printed = place.ticket_events("summary", "--from", str(DAY), "--to", str(DAY), COLUMNS="250").output
    assert "<script>window.pwned=1</script>" in printed
