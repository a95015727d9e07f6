"""The README and the pages in docs/ match the code: variables, commands, names, messages, links and queries."""

import ast
import datetime as dt
import json
import re
import subprocess
import sys

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.tickets import DAILY_SLA_BREACHES_BY_DIMENSION_TABLE
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.names import names_schema, write_kind
from ticket_events_pipeline.tickets.provenance import write_ticket_day
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, REPOSITORY, deployed
from ticket_events_pipeline_tests.support.raw_files import put_raw_table

PACKAGE = CHECKOUT / "ticket_events_pipeline"
ENV_EXAMPLE = PACKAGE / "cli" / "templates" / "env.example"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
DOCS = "\n".join(page.read_text() for page in PAGES)
VARIABLE = re.compile(r"\b(?:ZENDESK|TICKET_EVENTS)_[A-Z_]+\b")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def page(name):
    return (CHECKOUT / "docs" / f"{name}.md").read_text()


def block(name, language, *, mentions=""):
    (found,) = (text for text in re.findall(rf"```{language}\n(.*?)```", page(name), re.DOTALL) if mentions in text)
    return found


def test_env_example_lists_exactly_the_variables_of_the_code():
    source = "".join(path.read_text() for path in PACKAGE.rglob("*settings.py"))
    source += (PACKAGE / "credentials.py").read_text() + (PACKAGE / "alerts/destinations.py").read_text()
    assert set(VARIABLE.findall(ENV_EXAMPLE.read_text())) == set(VARIABLE.findall(source))


def test_the_docs_name_no_variable_that_does_not_exist():
    assert set(VARIABLE.findall(DOCS)) <= set(VARIABLE.findall(ENV_EXAMPLE.read_text()))


def test_every_asset_job_schedule_sensor_and_check_is_documented():
    reference = page("reference/assets") + page("reference/checks")
    jobs = {job.name for job in REPOSITORY.get_all_jobs()} - {"__ASSET_JOB"}
    automations = {*REPOSITORY.schedule_defs, *REPOSITORY.sensor_defs}
    checks = {key.name for key in REPOSITORY.asset_graph.asset_check_keys}
    names = {*ASSETS, REPORT, "zendesk_api", *jobs, *(automation.name for automation in automations), *checks}
    assert {name for name in names if f"`{name}`" not in reference} == set()


def test_the_columns_that_the_docs_name_exist():
    lines = re.findall(r"^\| `(\w+)` \| .* \| `([^`]+), …` \|$", page("reference/tables"), re.MULTILINE)
    assert {asset for asset, _ in lines} == {table.name for table in TABLES.values() if not table.is_internal}
    for asset, columns in lines:
        assert set(columns.split(", ")) <= set(TABLES[asset].schema.names)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^(?:\w+=\w+ )?make ([\w-]+)", DOCS, re.MULTILINE))))
def test_every_make_target_in_the_docs_exists(target):
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


def test_every_command_in_the_docs_exists_and_every_command_is_documented():
    assert set(re.findall(r"ticket-events ([a-z]+)\b", DOCS)) <= set(commands.commands)
    assert set(re.findall(r"`ticket-events ([a-z]+)", page("reference/cli"))) == set(commands.commands)


def anchors(text):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_inside_the_docs_leads_somewhere(path):
    for target, anchor in LINK.findall(path.read_text()):
        found = (path.parent / target) if target else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text()), (target, anchor)


def literals():
    """Every text literal of the package, with `…` for what an f-string fills in."""
    for source in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_message_that_the_docs_explain_is_in_the_code():
    texts = "\n".join(literals())
    rows = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", page("reference/messages"), re.MULTILINE)[2:]
    assert len(rows) > 30
    for row in rows:
        fragments = [part.strip(" .:(") for quoted in re.findall(r"`([^`]+)`", row) for part in quoted.split("…")]
        missing = [part for part in fragments if len(part) > 6 and part not in texts]
        assert not missing, (row, missing)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "sla_policy_title" in (tmp_path / "reference" / "tables" / "index.html").read_text()


def test_the_query_of_field_changes_counts_moves_between_groups(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    day = Day.parse("2026-03-02")
    moves = [("3", "4"), ("3", "4"), (None, "3")]
    audits = [
        {
            **dict.fromkeys(TABLES["ticket_events"].schema.names),
            "id": number,
            "ticket_id": number % 2,
            "time": day.start * 1000,
            "child_events": json.dumps([{"group_id": to, "event_type": "Change", "previous_value": before}]),
        }
        for number, (before, to) in enumerate(moves)
    ]
    put_raw_table(tmp_path / "data", pa.Table.from_pylist(audits, schema=TABLES["ticket_events"].schema), "ticket_events", day)
    list(make_changes(FolderStore(tmp_path / "data"), [day]))
    query = block("how-to/query-the-files", "sql", mentions="ticket_field_changes")
    assert duckdb.sql(query).fetchall() == [("3", "4", 2, 2)]


def test_the_query_for_agents_joins_their_newest_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    day, store, schema = Day.parse("2026-03-02"), FolderStore(tmp_path / "data"), DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema
    rows = [("9", True, 3, 1), ("8", True, 1, 9), (None, True, 2, 0), (None, False, 1, 0)]
    columns = ("value", "is_known", "breaches", "achieved")
    table = [{"dimension": "assignee", **dict(zip(columns, row, strict=True))} for row in rows]
    write_ticket_day(store, "daily_sla_breaches_by_dimension", day, pa.Table.from_pylist(table, schema=schema), {})
    names = [(9, "Anna before", 1), (9, "Anna", 2)]
    seen = [{"id": id_, "name": name, "seen_to": dt.datetime.fromtimestamp(time, dt.UTC)} for id_, name, time in names]
    write_kind(store, "agents", pa.Table.from_pylist(seen, schema=names_schema("agents")), fetched_at=2)
    query = block("how-to/query-the-files", "sql", mentions="zendesk_names")
    assert duckdb.sql(query).fetchall() == [("Anna", 3, 4), ("nobody", 2, 2), ("8", 1, 10), ("unknown", 1, 1)]


@pytest.mark.parametrize(("overview", "folder"), [("README.md", "docs/how-to"), ("docs/index.md", "how-to")])
def test_every_guide_is_linked_where_a_reader_begins(overview, folder):
    guides = {guide.name for guide in (CHECKOUT / "docs" / "how-to").glob("*.md")}
    assert guides - set(re.findall(rf"\({folder}/([\w-]+\.md)", (CHECKOUT / overview).read_text())) == set()


def test_every_check_names_its_section_of_the_docs():
    graph = REPOSITORY.asset_graph
    for key in graph.asset_check_keys:
        assert graph.get_check_spec(key).description.endswith(f" If it fails: docs/reference/checks.md#{key.name}")
        assert key.name in anchors(page("reference/checks"))


@pytest.mark.parametrize("asset", [*ASSETS, REPORT])
def test_the_page_that_an_asset_names_exists(asset):
    (path,) = re.findall(r"\*\*Documentation:\*\* `([^`#]+)(?:#.*)?`$", catalog_text(asset))
    assert (CHECKOUT / path).exists()


def catalog_text(asset):
    """The asset's description in the catalog."""
    return REPOSITORY.asset_graph.get(dg.AssetKey(asset)).description


def catalog_rows(asset):
    """What the query in the asset's description finds."""
    (query,) = re.findall(r"```sql\n(.*?)```", catalog_text(asset), re.DOTALL)
    return [tuple(str(value) for value in row) for row in duckdb.sql(query).fetchall()]


def test_the_query_of_tags_that_are_left_finds_those_of_blanked_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    children = [{"id": 1, "tags": ["anna_smith", "vip"], "previous_value": ["vip"]}, {"id": 2, "added_tags": ["anna_smith"]}]
    rows = [{"ticket_id": 7, "child_events": json.dumps(children), "extra": '{"forgotten":true}'}]
    rows += [{"ticket_id": 8, "child_events": '[{"tags":["printer"],"body":"x"}]', "extra": "{}"}]
    rows += [{"ticket_id": 9, "child_events": '[{"status":"new","previous_value":null}]', "extra": '{"forgotten":true}'}]
    folder = tmp_path / "data" / "ticket_events" / "date=2026-03-02"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "ticket_events.parquet")
    query = block("how-to/delete-personal-data", "sql")
    assert duckdb.sql(query).fetchall() == [("anna_smith", 2, [7]), ("vip", 2, [7])]


def test_the_queries_of_the_docs_and_of_the_catalog_run_unchanged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with deployed(tmp_path / "data", now=Day.parse("2026-03-20").start) as deployment:
        breach = {
            "id": 1,
            "ticket_id": 7,
            "metric": "reply_time",
            "instance_id": 1,
            "type": "breach",
            "time": "2026-03-02T09:00:00Z",
        }
        deployment.account.deliver("ticket_metric_events", [breach])
        audit = {"id": 1, "ticket_id": 7, "timestamp": Day.parse("2026-03-02").start, "via": "Mail", "event_type": "Audit"}
        deployment.account.deliver("ticket_events", [audit])
        deployment.fetch("2026-03-02", "2026-03-03")
        deployment.settle()
    week = duckdb.sql(block("how-to/query-the-files", "sql", mentions="daily_sla_breach_summary")).fetchall()
    assert [(str(row[0]), *row[1:4]) for row in week] == [
        ("2026-03-03", "first_reply_time", 0, 0),
        ("2026-03-02", "first_reply_time", 1, 0),
    ]
    exec(block("how-to/query-the-files", "python"), {})  # noqa: S102  # our own page
    assert re.search(r"7 +first_reply_time", capsys.readouterr().out)
    assert {asset: catalog_rows(asset) for asset in ASSETS if "```sql" in catalog_text(asset)} == {
        "ticket_events": [("2026-03-02", "Mail", "1")],
        "ticket_metric_events": [("2026-03-02", "reply_time", "breach", "1")],
        "sla_targets": [("7", "first_reply_time", "None", "2026-03-02 09:00:00+00:00", "140400")],
        "daily_sla_breach_summary": [("2026-03-02", "first_reply_time", "1", "0.0")],
        "ticket_field_changes": [],
        "sla_target_dimensions": [("2026-03-02", "None", "1")],
        "daily_sla_breaches_by_dimension": [("None", "False", "1", "0.0")],
        "sla_target_holders": [],
        "daily_ticket_durations": [],
    }
