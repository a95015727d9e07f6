"""In a real browser, the report and Dagster's UI show the figures of yesterday's stored table."""

import re
from pathlib import Path

import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline_tests.support.browser import opened_browser
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.dev_server import running_ui

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SUMMARY = "daily_sla_breach_summary"


@pytest.fixture(scope="module")
def yesterday():
    return Day.containing(wall_clock()).plus(-1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The demo's thirty days, and the instance in which they are recorded."""
    place = new_place(tmp_path_factory.mktemp("browser"), ZENDESK_SANDBOX="1")
    ended = place.ticket_events("demo")
    assert ended.code == 0, ended.output
    return place


@pytest.fixture(scope="module")
def ui(place):
    with running_ui(place) as running:
        yield running


@pytest.fixture(scope="module")
def breaches(place, yesterday):
    """Of the stored table, by metric."""
    table = read_partition(FolderStore(place.root / "sandbox"), SUMMARY, yesterday)
    counted = table.group_by("sla_metric").aggregate([("breaches", "sum")]).to_pylist()
    return {row["sla_metric"]: row["breaches_sum"] for row in counted}


def test_the_report_shows_yesterdays_breaches(place, yesterday, breaches):
    made = place.ticket_events("report", "--date", str(yesterday))
    assert made.code == 0, made.output
    with opened_browser() as page:
        page.goto(Path(made.output.splitlines()[0]).as_uri())
        assert page.locator(".headline [data-figure=breaches]").inner_text() == str(sum(breaches.values()))
        tiles = page.locator("article.tile").all()
        shown = {tile.get_attribute("data-metric"): tile.locator("[data-figure=breaches]").inner_text() for tile in tiles}
        assert shown == {metric: str(count) for metric, count in breaches.items()}


def test_the_ui_shows_yesterdays_breaches_as_a_number_and_in_its_table(ui, yesterday, breaches):
    total = str(sum(breaches.values()))
    with opened_browser(width=1500, height=1400) as page:
        page.goto(f"{ui.url}/assets/{SUMMARY}?view=partitions&partition={yesterday}")
        row = page.get_by_role("row").filter(has=page.get_by_text("breaches", exact=True))
        row.first.wait_for(timeout=60_000)
        assert row.first.get_by_role("cell").nth(1).inner_text().strip() == total
        assert by_metric(page.locator("table table tr"), breaches, column=1) == breaches  # shown in place
        page.get_by_text("[Show Markdown]").first.click()
        page.get_by_text(re.compile(rf"^(. )?{total} targets? breached")).wait_for()
        assert by_metric(page.locator("tr").filter(has_text="hours"), breaches, column=3) == breaches


def by_metric(rows, metrics, *, column):
    """The numbers in that column of a table, added up by metric."""
    shown = dict.fromkeys(metrics, 0)
    for row in rows.all():
        cells = row.get_by_role("cell").all_inner_texts()
        metric = cells[0].lower().replace(" ", "_") if len(cells) > column else ""
        if metric in shown:
            shown[metric] += int(cells[column])
    return shown


def test_the_ui_shows_a_days_entries_in_our_order(ui, yesterday):
    with opened_browser(width=1500, height=1400) as page:
        page.goto(f"{ui.url}/assets/{SUMMARY}?view=partitions&partition={yesterday}")
        page.get_by_text("content_hash", exact=True).wait_for(timeout=60_000)
        text = page.locator("body").inner_text()
        names = ["breaches", "by_metric", "late_and_open", "complete", "as_of", "report", "debug/size_bytes", "content_hash"]
        places = [re.search(rf"^{name}\b", text, re.MULTILINE).start() for name in names]
        assert places == sorted(places)


def test_the_ui_shows_none_of_the_tags_that_only_we_read(ui):
    answer = ui.query("{ runsOrError { ... on Runs { results { tags { key } } } } }")
    runs = [[tag["key"] for tag in run["tags"]] for run in answer["runsOrError"]["results"]]
    assert len(runs) >= 2
    assert not [key for run in runs for key in run if "ticket_events" in key]


def test_the_ui_shows_the_chart_of_the_last_thirty_days(ui, yesterday):
    with opened_browser(width=1500, height=1400) as page:
        page.goto(f"{ui.url}/assets/{SUMMARY}?view=partitions&partition={yesterday}")
        page.get_by_text("[Show Markdown]").nth(1).click(timeout=60_000)
        picture = page.get_by_role("img", name=re.compile("Targets achieved and breached per day"))
        picture.wait_for()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
