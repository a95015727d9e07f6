"""What the UI shows of every asset and of every day of it, without a query."""

import base64
import inspect
import re
from pathlib import Path

import dagster as dg
import pytest
from markdown_it import MarkdownIt

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, REPOSITORY, deployed

FIRST, LAST = "2026-03-02", "2026-03-09"
NOW = Day.parse("2026-03-20").start
TITLE = "<script>alert(1)</script> *VIP* | `x` [a](javascript:b)"
POLICY = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": TITLE}}

RAW_NUMBERS = {"dagster/row_count", "size_bytes", "requests", "duplicates", "rejected", "metric_rows", "duration_seconds"}
SUMMARY_NUMBERS = {
    "dagster/row_count",
    "size_bytes",
    "breaches",
    "achieved",
    "completed_breached",
    "active_eod",
    "breached_open_eod",
    "withdrawn_breaches",
    "restatements",
    "achievement_rate",
    "duration_seconds",
}


def metric_event(number, day, kind, hour, **more):
    base = {"id": number, "ticket_id": number // 10, "metric": "reply_time", "instance_id": 1, "type": kind}
    return {**base, "time": f"{day}T{hour:02}:00:00Z", **more}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """Each day two targets: one is met, one breaches and stays open."""
    with deployed(tmp_path_factory.mktemp("root"), now=NOW) as running:
        for nth in range(8):
            day, first = Day.parse(FIRST).plus(nth), 1000 * (nth + 1)
            rows = []
            for ticket in (first, first + 10):
                rows += [metric_event(ticket, day, "activate", 8), metric_event(ticket + 1, day, "apply_sla", 8, sla=POLICY)]
            rows += [metric_event(first + 2, day, "fulfill", 9), metric_event(first + 12, day, "breach", 9)]
            running.account.deliver("ticket_metric_events", rows)
        running.fetch(FIRST, LAST)
        running.settle()
        yield running


def metadata(deployment, asset, day=LAST):
    records = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[day])
    (record,) = deployment.instance.fetch_materializations(records, limit=1).records
    return record.asset_materialization.metadata


@pytest.mark.parametrize("asset", ASSETS[:2])
def test_a_raw_day_shows_rows_bytes_window_requests_and_duration(deployment, asset):
    shown = metadata(deployment, asset)
    assert {name for name in RAW_NUMBERS if isinstance(shown[name].value, int | float)} == RAW_NUMBERS
    assert (shown["window_start"].value, shown["window_end"].value) == (Day.parse(LAST).start, Day.parse(LAST).end)
    assert shown["complete"].value is True
    assert shown["size_bytes"].value == Path(shown["file"].value).stat().st_size
    assert shown["dagster/row_count"].value == deployment.table(asset, LAST).num_rows
    if asset == "ticket_metric_events":
        morning = Day.parse(LAST).start + 8 * 3600
        assert (shown["oldest_event"].value, shown["newest_event"].value) == (morning, morning + 3600)


def test_a_summary_day_has_numbers_to_plot_and_a_table_and_a_chart_to_read(deployment):
    shown = metadata(deployment, "daily_sla_breach_summary")
    assert {name for name in SUMMARY_NUMBERS if isinstance(shown[name].value, int | float)} == SUMMARY_NUMBERS
    assert (shown["breaches"].value, shown["achieved"].value, shown["achievement_rate"].value) == (1, 1, 0.5)
    assert shown["breached_open_eod"].value == 8
    assert isinstance(shown["breaches_by_policy"], dg.MarkdownMetadataValue)
    _, row = [line for line in shown["breaches_by_policy"].value.splitlines() if line.startswith("| First reply time")]
    assert row.split("|")[3:] == [" 50.0% ", " 1 ", " - ", " 1 ", " 8 ", " 8 ", ""]
    picture = re.fullmatch(r"!\[.*\]\(data:image/(svg\+xml|png);base64,([A-Za-z0-9+/=]+)\)", shown["last_30_days"].value)
    assert picture is not None
    assert len(base64.b64decode(picture[2])) < 20_000
    assert b"<script" not in base64.b64decode(picture[2])


def test_a_title_of_the_accounts_shows_as_text_in_the_table(deployment):
    markdown = metadata(deployment, "daily_sla_breach_summary")["breaches_by_policy"].value
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert not re.search(r"<(script|em|code|a)\b", html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; *VIP* | `x` [a](javascript:b)" in re.sub(r"<!--.*?-->", "", html)


def test_a_report_day_shows_the_path_of_its_page_and_its_main_figures(deployment):
    shown = metadata(deployment, REPORT)
    page = Path(shown["file"].value).read_text()
    assert shown["size_bytes"].value == len(page.encode())
    assert shown["late_and_open"].value == 8
    assert Path(shown["latest"].value).parent == Path(shown["file"].value).parents[1]
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_report_of_a_root_that_no_variable_names_has_the_account_of_its_files(deployment):
    nameless = RootSettings(str(deployment.root), "UTC", account=None, tickets_url=None)
    report = report_reader(deployment.store, nameless, [Day.parse(LAST)]).read(Day.parse(LAST))
    assert report.account == deployment.footer("ticket_metric_events", LAST)["account"]


def test_latest_shows_the_newest_day_whatever_is_made_last(deployment):
    latest = Path(metadata(deployment, REPORT)["latest"].value)
    assert "Monday, 9 March 2026" in latest.read_text()
    assert deployment.materialize(REPORT, FIRST).success
    assert "Monday, 9 March 2026" in latest.read_text()


def test_a_report_of_a_day_without_summary_fails_and_says_what_to_make(deployment):
    failed = deployment.materialize(REPORT, "2026-03-15")
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    assert "daily_sla_breach_summary of 2026-03-15" in step.step_failure_data.user_failure_data.description


@pytest.mark.parametrize("asset", [*ASSETS, REPORT])
def test_every_asset_has_an_owner_kinds_tags_a_description_and_a_link_to_its_code(asset):
    node = REPOSITORY.asset_graph.get(dg.AssetKey(asset))
    assert (bool(node.owners), bool(node.kinds), bool(node.description)) == (True, True, True)
    assert node.group_name == ("zendesk" if asset in ASSETS[:2] else "sla")
    assert {"source", "personal_data"} <= node.tags.keys()
    (reference,) = node.metadata["dagster/code_references"].value.code_references
    module, _, function = reference.label.rpartition(".")
    assert Path(reference.file_path).read_text().splitlines()[reference.line_number - 1].startswith(f"def {function}(")
    assert inspect.getmodulename(reference.file_path) == module.rpartition(".")[2]


@pytest.mark.parametrize("asset", ASSETS)
def test_every_column_is_described_and_has_the_files_type(deployment, asset):
    node = REPOSITORY.asset_graph.get(dg.AssetKey(asset))
    shown = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
    stored = {column.name: str(column.type) for column in deployment.table(asset, LAST).schema}
    assert {name: column.type for name, column in shown.items()} == stored
    assert all(shown[column.name].description.startswith(column.doc) for column in TABLES[asset])


@pytest.mark.parametrize("asset", ASSETS[2:])
def test_the_newest_day_of_a_run_shows_the_lineage_of_its_columns(deployment, asset):
    lineage = metadata(deployment, asset)["dagster/column_lineage"].value.deps_by_column
    assert set(lineage) <= set(deployment.table(asset, LAST).column_names)
    sources = {dep for deps in lineage.values() for dep in deps}
    assert sources
    for dep in sources:
        assert dep.column_name in deployment.table(dep.asset_key.to_user_string(), LAST).column_names
    assert "dagster/column_lineage" not in metadata(deployment, asset, FIRST)
