"""What the UI shows of every asset and of every day of it, without a query."""

import base64
import inspect
import re
from pathlib import Path

import dagster as dg
import pytest
from markdown_it import MarkdownIt

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.defs.unrecorded_days import materialisations
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, REPOSITORY, TICKET_ASSETS, deployed

TIMESTAMP = dg.TimestampMetadataValue
FIRST, LAST = "2026-03-02", "2026-03-09"
NOW = Day.parse("2026-03-20").start
TITLE = "<script>alert(1)</script> *VIP* | `x` [a](javascript:b)"
POLICY = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": TITLE}}

RAW_NUMBERS = {
    "dagster/row_count",
    "rejected",
    "metric_rows",
    "debug/requests",
    "debug/duplicates",
    "debug/size_bytes",
    "debug/duration_seconds",
}
SUMMARY_NUMBERS = {
    "breaches",
    "late_and_open",
    "met_percent_first_reply_time",
    "achieved",
    "completed_breached",
    "superseded_breaches",
    "withdrawn_breaches",
    "targets_deleted",
    "contradicted",
    "active_eod",
    "restatements",
    "dagster/row_count",
    "debug/size_bytes",
    "debug/duration_seconds",
}
BEGINNINGS = {
    "ticket_metric_events": ["dagster/row_count", "complete", "oldest_event", "newest_event", "fetched_at", "rejected"],
    "sla_clocks": ["dagster/row_count", "complete", "as_of", "dagster/uri"],
    "sla_targets": ["dagster/row_count", "complete", "as_of", "outcome_achieved"],
    "daily_sla_breach_summary": ["breaches", "by_metric", "late_and_open", "complete", "as_of", "report"],
    "ticket_field_changes": ["dagster/row_count", "complete"],
    "sla_target_dimensions": ["dagster/row_count", "complete", "as_of", "audits"],
    "daily_ticket_durations": ["dagster/row_count", "complete", "as_of", "audits"],
    REPORT: ["in_short", "report", "latest_report", "late_and_open", "complete", "as_of"],
}
REPORTS = "https://reports.example/sla"
LINK = f"{REPORTS}/date={LAST}/sla_breach_report.html"


def metric_event(number, day, kind, hour, **more):
    base = {"id": number, "ticket_id": number // 10, "metric": "reply_time", "instance_id": 1, "type": kind}
    return {**base, "time": f"{day}T{hour:02}:00:00Z", **more}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """Each day two targets: one is met, one breaches and stays open. The reports are served."""
    with pytest.MonkeyPatch.context() as patch, deployed(tmp_path_factory.mktemp("root"), now=NOW) as running:
        patch.setenv("TICKET_EVENTS_REPORT_URL", f"{REPORTS}/")
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


def numbers(shown):
    """The entries that the UI plots."""
    return {name for name, value in shown.items() if type(value.value) in (int, float) and type(value) is not TIMESTAMP}


def metadata(deployment, asset, day=LAST):
    records = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[day])
    (record,) = deployment.instance.fetch_materializations(records, limit=1).records
    return record.asset_materialization.metadata


@pytest.mark.parametrize("asset", ASSETS[:2])
def test_a_raw_day_shows_rows_bytes_window_requests_and_duration(deployment, asset):
    shown = metadata(deployment, asset)
    assert numbers(shown) == RAW_NUMBERS
    assert (shown["debug/window_start"].value, shown["debug/window_end"].value) == (Day.parse(LAST).start, Day.parse(LAST).end)
    assert shown["complete"].value is True
    assert shown["debug/size_bytes"].value == Path(shown["dagster/uri"].value).stat().st_size
    assert shown["dagster/row_count"].value == deployment.table(asset, LAST).num_rows
    if asset == "ticket_metric_events":
        morning = Day.parse(LAST).start + 8 * 3600
        assert (shown["oldest_event"].value, shown["newest_event"].value) == (morning, morning + 3600)


def test_a_summary_day_has_numbers_to_plot_and_a_table_and_a_chart_to_read(deployment):
    shown = metadata(deployment, "daily_sla_breach_summary")
    assert numbers(shown) == SUMMARY_NUMBERS
    assert (shown["breaches"].value, shown["achieved"].value, shown["late_and_open"].value) == (1, 1, 8)
    assert shown["met_percent_first_reply_time"].value == 50.0
    assert isinstance(shown["breaches_by_policy"], dg.MarkdownMetadataValue)
    _, row = [line for line in shown["breaches_by_policy"].value.splitlines() if line.startswith("| First reply time")]
    assert row.split("|")[3:] == [" 50.0% ", " 1 ", " - ", " 1 ", " 8 ", " 8 ", ""]
    picture = re.fullmatch(r"!\[.*\]\(data:image/(svg\+xml|png);base64,([A-Za-z0-9+/=]+)\)", shown["last_30_days"].value)
    assert picture is not None
    assert len(base64.b64decode(picture[2])) < 20_000
    assert b"<script" not in base64.b64decode(picture[2])


def test_a_summary_day_begins_with_a_table_by_metric_that_the_ui_shows_in_place(deployment):
    shown = metadata(deployment, "daily_sla_breach_summary")["by_metric"].value
    assert shown.splitlines()[2:] == ["| First reply time | 1 | 1 | 50.0% | 8 |"]
    assert len(shown) < 1000


@pytest.mark.parametrize("asset", [*BEGINNINGS])
def test_a_day_begins_with_what_people_read_and_ends_with_its_hash(deployment, asset):
    shown = list(metadata(deployment, asset, FIRST))
    assert shown[: len(BEGINNINGS[asset])] == BEGINNINGS[asset]
    debug = [name.startswith("debug/") for name in shown if name != "content_hash"]
    assert debug == sorted(debug)
    assert asset == REPORT or shown[-1] == "content_hash"


@pytest.mark.parametrize("asset", ASSETS[2:])
def test_a_day_shows_the_beginning_of_the_hashes_that_it_was_made_from(deployment, asset):
    shown, footer = metadata(deployment, asset), deployment.footer(asset, LAST)
    assert shown["content_hash"].value == footer["content_hash"]
    made_from = {
        name: shown[f"debug/{name[5:]}"].value for name in footer if f"debug/{name[5:]}" in shown and "made_from" in name
    }
    assert len(made_from) == 3 or (asset in TICKET_ASSETS and made_from)
    assert made_from == {name: re.sub("([0-9a-f]{12})[0-9a-f]{52}", r"\1", footer[name]) for name in made_from}
    assert max(len(word) for text in made_from.values() for word in text.split()) == 12


@pytest.mark.parametrize("asset", ["daily_sla_breach_summary", REPORT])
def test_a_day_links_to_its_served_report(deployment, asset):
    assert metadata(deployment, asset)["report"] == dg.MetadataValue.url(LINK)


def test_a_day_says_how_to_get_a_link_where_no_report_is_served(deployment, monkeypatch):
    monkeypatch.delenv("TICKET_EVENTS_REPORT_URL")
    assert deployment.materialize(REPORT, "2026-03-05").success
    shown = metadata(deployment, REPORT, "2026-03-05")
    assert "TICKET_EVENTS_REPORT_URL" in shown["report"].value
    assert "latest_report" not in shown


@pytest.mark.parametrize("asset", [*ASSETS, REPORT])
def test_a_day_that_is_recorded_from_its_file_shows_what_its_run_showed(deployment, asset):
    (recorded,) = materialisations(account_scope(), deployment.store, [(asset, Day.parse(FIRST))])
    shown = metadata(deployment, asset, FIRST)
    expected = {name: shown[name] for name in recorded.metadata}
    if asset == "daily_sla_breach_summary":
        assert list(recorded.metadata)[:6] == BEGINNINGS[asset]
    assert recorded.metadata == expected


def test_a_title_of_the_accounts_shows_as_text_in_the_table(deployment):
    markdown = metadata(deployment, "daily_sla_breach_summary")["breaches_by_policy"].value
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert not re.search(r"<(script|em|code|a)\b", html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; *VIP* | `x` [a](javascript:b)" in re.sub(r"<!--.*?-->", "", html)


def test_a_report_day_shows_the_path_of_its_page_and_its_main_figures(deployment):
    shown = metadata(deployment, REPORT)
    page = Path(shown["dagster/uri"].value).read_text()
    assert shown["debug/size_bytes"].value == len(page.encode())
    assert shown["late_and_open"].value == 8
    assert shown["in_short"].value.startswith("**1 target breached.**")
    assert shown["latest_report"] == dg.MetadataValue.url(f"{REPORTS}/latest.html")
    assert Path(shown["debug/latest_file"].value).parent == Path(shown["dagster/uri"].value).parents[1]
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_report_of_a_root_that_no_variable_names_has_the_account_of_its_files(deployment):
    nameless = RootSettings(str(deployment.root), "UTC", account=None, tickets_url=None)
    report = report_reader(deployment.store, nameless, [Day.parse(LAST)]).read(Day.parse(LAST))
    assert report.account == deployment.footer("ticket_metric_events", LAST)["account"]


def test_latest_shows_the_newest_day_whatever_is_made_last(deployment):
    latest = Path(metadata(deployment, REPORT)["debug/latest_file"].value)
    assert "Monday, 9 March 2026" in latest.read_text()
    assert deployment.materialize(REPORT, FIRST).success
    assert "Monday, 9 March 2026" in latest.read_text()


def test_a_report_of_a_day_without_summary_fails_and_says_what_to_make(deployment):
    failed = deployment.materialize(REPORT, "2026-03-15")
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    assert "daily_sla_breach_summary of 2026-03-15" in step.step_failure_data.user_failure_data.description


@pytest.mark.parametrize("asset", [*ASSETS, REPORT])
def test_every_asset_has_kinds_tags_its_grain_and_a_link_to_its_code_and_no_invented_owner(asset):
    node = REPOSITORY.asset_graph.get(dg.AssetKey(asset))
    assert "python" in node.kinds
    assert not node.owners
    assert re.match(r"[^\n]+[.]\n\n\*\*Grain:\*\* one ", node.description)
    assert node.group_name == ("zendesk" if asset in ASSETS[:2] else "tickets" if asset in TICKET_ASSETS else "sla")
    is_raw, is_internal = asset in ASSETS[:2], asset in ("sla_clocks", "ticket_states")
    assert ("source" in node.tags, "internal" in node.tags, "personal_data" in node.tags) == (is_raw, is_internal, True)
    (reference,) = node.metadata["dagster/code_references"].value.code_references
    module, _, function = reference.label.rpartition(".")
    assert Path(reference.file_path).read_text().splitlines()[reference.line_number - 1].startswith(f"def {function}(")
    assert inspect.getmodulename(reference.file_path) == module.rpartition(".")[2]


@pytest.mark.parametrize("asset", ASSETS)
def test_every_column_is_described_and_has_the_files_type(deployment, asset):
    node = REPOSITORY.asset_graph.get(dg.AssetKey(asset))
    shown = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
    # Parquet files name what a list holds otherwise.
    stored = {column.name: str(column.type).replace("element", "item") for column in deployment.table(asset, LAST).schema}
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


def test_the_graph_begins_with_the_api_and_nothing_can_materialize_it():
    graph = REPOSITORY.asset_graph
    node = graph.get(dg.AssetKey("zendesk_api"))
    assert {key.to_user_string() for key in node.child_keys} == {*ASSETS[:2], "zendesk_names"}
    assert (node.is_materializable, node.kinds) == (False, {"zendesk"})
    everything = defs.resolve_implicit_global_asset_job_def().asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in everything} == {*ASSETS, REPORT, "zendesk_names"}


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("hourly_fetch", "Turn this on: "),
        ("daily_restatement", "Turn this on: "),
        ("new_event_partitions_sensor", "On as shipped; leave it on: "),
        ("dead_runs_sensor", "On as shipped; leave it on: "),
        ("sla_breach_alert_sensor", "Turn this on for alerts: "),
    ],
)
def test_automations_say_first_whether_they_must_be_on_and_ship_so(name, beginning):
    is_schedule = REPOSITORY.has_schedule_def(name)
    found = REPOSITORY.get_schedule_def(name) if is_schedule else REPOSITORY.get_sensor_def(name)
    assert found.description.startswith(beginning)
    assert (found.default_status.value == "RUNNING") == beginning.startswith("On")
