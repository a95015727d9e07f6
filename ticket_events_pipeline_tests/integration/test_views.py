"""`ticket-events views`: DuckDB views that are right, stay right, and leave the rest of a DuckDB file alone."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition, write_partition
from ticket_events_pipeline.storage.pruned_days import PrunedDays, write_pruned_days
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import STRING
from ticket_events_pipeline.tickets.names import names_schema, write_kind
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA
from ticket_events_pipeline.views.catalog import root_views
from ticket_events_pipeline.views.duckdb_file import write_views
from ticket_events_pipeline.views.lake import Lake
from ticket_events_pipeline.views.questions import BREACHES_BY_AGENT, BREACHES_PER_DAY, GROUP_MOVES
from ticket_events_pipeline.views.script import views_script
from ticket_events_pipeline.views.stored import READ_TABLES
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import COMMAND
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.duckdb_views import make_views, viewed
from ticket_events_pipeline_tests.support.events import audit, event
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import sla_root

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]
DATES = [dt.date.fromisoformat(day) for day in DAYS]
ASSETS = [table.name for table in READ_TABLES]
GROUPS = [(1, "Billing before", 1), (1, "Billing", 2), (2, "Sales", 2)]
AGENTS = [(7, "Anna", 2)]


def put_names(root, kind, names):
    rows = [
        {"id": id_, "name": name, "is_deleted": False, "seen_from": dt.datetime.fromtimestamp(seen, dt.UTC)}
        | {"seen_to": dt.datetime.fromtimestamp(seen, dt.UTC)}
        for id_, name, seen in names
    ]
    write_kind(FolderStore(root), kind, pa.Table.from_pylist(rows, schema=names_schema(kind)), fetched_at=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root with all tables of three days, the last one open and without events; one of two tickets breaches."""
    with deployed(tmp_path_factory.mktemp("root"), now=Day.parse(DAYS[2]).start + 3600) as deployment:
        for number, day in enumerate(DAYS[:2], start=1):
            start = Day.parse(day).start
            created = {"event_type": "Create", "group_id": number, "assignee_id": 7, "priority": "high", "tags": ["a"]}
            moved = {"event_type": "Change", "group_id": 2, "previous_value": number}
            deployment.account.deliver("ticket_events", [audit(number, start + 3600, ticket_id=number, child_events=[created])])
            deployment.account.deliver(
                "ticket_events", [audit(9 + number, start + 7200, ticket_id=number, child_events=[moved])]
            )
            begun = event(40 + number, f"{day}T08:30:00Z", "activate", ticket_id=number)
            deployment.account.deliver("ticket_metric_events", [begun, event(number, f"{day}T09:00:00Z", ticket_id=number)])
        deployment.account.deliver("ticket_metric_events", [event(51, f"{DAYS[1]}T10:00:00Z", "breach", ticket_id=1)])
        deployment.fetch(DAYS[0], DAYS[2])
        deployment.settle()
        shutil.rmtree(deployment.root / "ticket_snapshots", ignore_errors=True)
        yield deployment.root


@pytest.fixture(scope="module")
def root(made):
    put_names(made, "groups", GROUPS)
    put_names(made, "agents", AGENTS)
    return made


@pytest.fixture
def copy(root, tmp_path):
    """A copy of the root that a test may change."""
    shutil.copytree(root, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture(scope="module")
def views(root):
    with viewed(root) as connection:
        yield connection


def rows(connection, query, *parameters):
    return connection.execute(query, list(parameters)).fetchall()


@pytest.mark.parametrize("asset", ASSETS)
def test_the_view_of_an_asset_has_all_rows_columns_and_types_of_its_days(views, root, asset):
    stored = [(date, read_partition(FolderStore(root), asset, Day(date))) for date in DATES]
    expected = [(date, *row.values()) for date, table in stored for row in table.to_pylist()]
    found = views.execute(f'FROM "{asset}"')
    assert [column[0] for column in found.description] == ["date", *TABLES[asset].schema.names]
    assert sorted(found.fetchall(), key=repr) == sorted(expected, key=repr)


def test_an_internal_table_has_no_view(views):
    names = {name for (name,) in rows(views, "SELECT view_name FROM duckdb_views() WHERE NOT internal")}
    assert not names & {"sla_clocks", "ticket_states"}
    assert set(ASSETS) < names


def test_every_view_and_every_column_says_what_it_means(views):
    assert rows(views, "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL") == []
    assert rows(views, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL") == []


def test_columns_that_no_stored_file_has_are_null_and_custom_fields_are_kept(copy):
    store, targets = FolderStore(copy), TABLES["sla_targets"]
    old = targets.at(1)
    assert "is_contradicted" not in old.names
    for date in DATES:
        table = read_partition(store, "sla_targets", Day(date))
        write_partition(store, "sla_targets", Day(date), table.select(old.names), {"schema_version": "1"})
        dimensions = read_partition(store, "sla_target_dimensions", Day(date))
        field = pa.array([f"of {date}"] * dimensions.num_rows, STRING)
        if date == DATES[-1]:
            dimensions = dimensions.append_column("custom_field:77", field)
        write_partition(store, "sla_target_dimensions", Day(date), dimensions, {"schema_version": "3"})
    with viewed(copy) as connection:
        assert rows(connection, "SELECT DISTINCT is_contradicted, typeof(is_contradicted) FROM sla_targets") == [
            (None, "BOOLEAN")
        ]
        found = rows(connection, 'SELECT date, "custom_field:77" FROM sla_target_dimensions_named ORDER BY date')
    assert set(found) == {(date, f"of {date}" if date == DATES[-1] else None) for date in DATES}


def test_a_table_without_files_is_an_empty_typed_view_until_made_again(copy):
    gone = copy.parent / "later"
    shutil.move(copy / "sla_targets", gone)
    shutil.rmtree(copy / "zendesk_names")
    with duckdb.connect() as connection:
        make_views(connection, copy)
        for view in ("sla_targets", "sla_targets_latest", "late_now", "names"):
            assert rows(connection, f"FROM {view}") == []
        assert rows(connection, "SELECT DISTINCT state FROM calendar WHERE asset = 'sla_targets'") == [("missing",)]
        assert rows(connection, "SELECT count(*) FROM daily_sla_breach_summary") != [(0,)]
        columns = rows(connection, "DESCRIBE sla_targets")
        shutil.move(gone, copy / "sla_targets")
        make_views(connection, copy)
        assert rows(connection, "DESCRIBE sla_targets") == columns
        assert rows(connection, "SELECT max(date) FROM sla_targets_latest") == [(DATES[-1],)]


def test_a_root_without_any_file_has_empty_views(tmp_path):
    with viewed(tmp_path) as connection:
        for (name,) in rows(connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal"):
            assert rows(connection, f'FROM "{name}"') == []


def test_a_connection_that_stays_open_sees_replaced_and_new_days(copy):
    store, later = FolderStore(copy), Day(DATES[-1]).plus(1)
    table = read_partition(store, "sla_targets", Day(DATES[1]))
    count, state = "SELECT date, count(*) FROM sla_targets GROUP BY date ORDER BY date", "SELECT max(date) FROM calendar"
    with viewed(copy) as connection:
        before = rows(connection, count)
        write_partition(store, "sla_targets", Day(DATES[1]), table.slice(1), {"complete": "true"})
        write_partition(store, "sla_targets", later, table, {"complete": "true"})
        after = rows(connection, count)
        assert rows(connection, state) == [(later.date,)]
    assert after == [(date, number - 1 if date == DATES[1] else number) for date, number in before] + [
        (later.date, table.num_rows)
    ]


def test_a_column_of_a_later_version_breaks_no_view(copy):
    store, count = FolderStore(copy), "SELECT count(*) FROM sla_targets_latest"
    with viewed(copy) as connection:
        before = rows(connection, count)
        for date in DATES:
            table = read_partition(store, "sla_targets", Day(date))
            newer = table.add_column(0, "of_tomorrow", pa.array([1] * table.num_rows))
            write_partition(store, "sla_targets", Day(date), newer, {"complete": "true"})
            assert rows(connection, count) == before


def test_the_calendar_shows_complete_open_empty_and_missing_days_apart(copy):
    store = FolderStore(copy)
    nothing = read_partition(store, "ticket_metric_events", Day(DATES[0])).slice(0, 0)
    for number, complete in ((1, "true"), (3, "false")):
        day = Day(DATES[-1]).plus(number)
        write_partition(
            store, "ticket_metric_events", day, nothing, {"complete": complete, "content_hash": "e", "fetched_at": "7"}
        )
    with viewed(copy) as connection:
        found = rows(
            connection,
            "SELECT date, state, rows, fetched_at, content_hash FROM calendar WHERE asset = 'ticket_metric_events' "
            "AND date >= $1 ORDER BY date",
            DATES[1],
        )
        shown = {date: tuple(row) for date, *row in found}
        listed = rows(connection, "SELECT DISTINCT date FROM ticket_metric_events ORDER BY date")
        assert rows(connection, "SELECT count(*) = count(DISTINCT (date, asset)) FROM calendar") == [(True,)]
    seven = dt.datetime.fromtimestamp(7, dt.UTC)
    dates = [DATES[-1] + dt.timedelta(days=number) for number in range(4)]
    assert shown[DATES[1]][:2] == ("complete", 3)
    assert [shown[date][0] for date in dates] == ["open", "empty", "missing", "open"]
    assert (shown[dates[1]], shown[dates[2]]) == (("empty", 0, seven, "e"), ("missing", None, None, None))
    assert listed == [(DATES[0],), (DATES[1],)]


def test_the_calendar_shows_a_day_that_was_pruned_not_as_missing(copy):
    store = FolderStore(copy)
    write_pruned_days(store, PrunedDays({"ticket_events": DATES[1]}, closed_before=None))
    for asset in ("ticket_events", "sla_targets"):
        store.delete(f"{asset}/date={DATES[0]}/{asset}.parquet")
    with viewed(copy) as connection:
        found = rows(
            connection,
            "SELECT asset, state FROM calendar WHERE date = $1 AND asset IN ('ticket_events', 'sla_targets')",
            DATES[0],
        )
    assert sorted(found) == [("sla_targets", "missing"), ("ticket_events", "pruned")]


def test_the_calendar_shows_the_as_of_and_the_audits_of_the_days_tables(views):
    found = rows(
        views, "SELECT state, as_of, audits FROM calendar WHERE asset = 'sla_target_dimensions' AND date = $1", DATES[0]
    )
    midnight = dt.datetime.combine(DATES[1], dt.time(), dt.UTC)
    assert found == [("complete", midnight, "complete")]


def test_days_are_the_accounts_whatever_zone_the_session_is_in(tmp_path):
    first, last = Day.parse("2026-03-02", "Europe/Berlin"), Day.parse("2026-03-04", "Europe/Berlin")
    clocks = [Clock(ticket_id=number) for number in (1, 2)]
    breaches = [
        {**clock.apply(0, 30).add("breach", 0.5).events[-1], "time": first.plus(number).start + 60}
        for number, clock in enumerate(clocks)
    ]
    events = [
        {**event, "time": min(event["time"], breach["time"])}
        for clock, breach in zip(clocks, breaches, strict=True)
        for event in clock.events[:-1]
    ]
    sla_root(tmp_path, [*events, *breaches], first, last)
    naive, ours = "breached_at::DATE", "breached_on"
    on_day = "SELECT count(*) FROM sla_targets_latest WHERE breached_at IS NOT NULL AND {} IN ('2026-03-02', '2026-03-03')"
    with viewed(tmp_path, timezone="Europe/Berlin") as connection:
        for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
            connection.execute(f"SET TimeZone = '{zone}'")
            assert rows(connection, on_day.format(ours)) == [(2,)]
        connection.execute("SET TimeZone = 'America/New_York'")
        assert rows(connection, on_day.format(naive)) == [(1,)]


def test_names_are_joined_and_the_newest_counts(views):
    assert rows(views, "SELECT id, name FROM names WHERE kind = 'groups' ORDER BY id") == [("1", "Billing"), ("2", "Sales")]
    named = rows(
        views,
        "SELECT group_id, group_name, assignee_name, group_name_eod, brand_name FROM sla_target_dimensions_named "
        "WHERE date = $1 ORDER BY ticket_id",
        DATES[0],
    )
    assert named == [(2, "Sales", "Anna", "Sales", None)]
    breaches = (
        "SELECT DISTINCT dimension, name FROM daily_sla_breaches_by_dimension_named WHERE breaches > 0 AND is_known ORDER BY 1"
    )
    found = dict(rows(views, breaches))
    assert (found["assignee"], found["group"], found["brand"], found["priority"]) == ("Anna", "Sales", "none", "high")
    held = rows(views, "SELECT DISTINCT group_name, assignee_name FROM sla_target_holders_named ORDER BY 1")
    assert held == [("Sales", "Anna")]


def test_the_questions_are_answered(views):
    assert rows(views, "SELECT agent, breaches FROM breaches_by_agent") == [("Anna", 1)]
    assert rows(views, "SELECT from_group_id, to_group_id, moves FROM group_moves") == [("1", "2", 1), ("2", "2", 1)]
    assert rows(views, "SELECT date, sla_metric, breaches FROM breaches_per_day WHERE breaches > 0") == [
        (DATES[1], "first_reply_time", 1)
    ]
    late = "SELECT ticket_id, group_name, assignee_name, breached_at_local FROM late_now"
    assert rows(views, late) == [(1, "Sales", "Anna", dt.datetime.fromisoformat(f"{DAYS[1]}T10:00"))]
    assert rows(views, 'SELECT week, "group", breaches FROM weekly_breaches_by_group') == [(DATES[0], "Sales", 1)]


def test_what_breaches_next_is_what_the_page_of_the_numbers_lists(copy):
    """The query of that page, of the newest day."""
    page = (CHECKOUT / "ticket_events_pipeline/report/explained.md").read_text()
    (query,) = (text for text in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "due_in_seconds" in text)
    store = FolderStore(copy)
    as_of = Day(DATES[-1]).start + 3600
    for asset in ("sla_targets", "sla_target_dimensions"):
        table = read_partition(store, asset, Day(DATES[-1]))
        due = pa.array(
            [(as_of + 600 * number) * 1000 for number in range(1, table.num_rows + 1)], table.schema.field("due_at").type
        )
        changed = table.set_column(table.schema.get_field_index("due_at"), table.schema.field("due_at"), due)
        if asset == "sla_targets":
            place, field = table.schema.get_field_index("outcome"), table.schema.field("outcome")
            changed = changed.set_column(place, field, pa.array(["active"] * table.num_rows, STRING))
        write_partition(store, asset, Day(DATES[-1]), changed, {"schema_version": "3"})
    with viewed(copy) as connection:
        ours = rows(
            connection, "SELECT ticket_id, sla_metric, instance_id, due_in_seconds, group_id, assignee_id FROM due_next"
        )
        settings, query = query.replace("'data'", f"'{copy}'").replace("2026-03-02", DAYS[-1]).split("\n\n", 1)
        connection.execute(settings)
        names = ("ticket_id", "sla_metric", "instance_id", "due_in_seconds", "group_id", "assignee_id")
        columns = connection.sql(query).columns
        documented = [tuple(row[columns.index(name)] for name in names) for row in rows(connection, query)]
    assert ours == documented
    assert len(ours) == 2


@pytest.mark.parametrize("query", [BREACHES_PER_DAY, BREACHES_BY_AGENT, GROUP_MOVES])
def test_the_page_of_queries_asks_the_same_of_the_files(query):
    """Its SQL, with files in place of views and with `if`, is a view's."""
    page = (CHECKOUT / "docs/how-to/query-the-files.md").read_text()
    documented = [
        re.sub(
            r"\bif\((\w+), ('\w+'), ('\w+')\)",
            r"CASE WHEN \1 THEN \2 ELSE \3 END",
            re.sub(r"read_parquet\('data/(\w+)/[^)]*\)|'data/zendesk_names/(\w+)[.]parquet'", r"{\1\2}", block),
        )
        for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    ]
    assert " ".join(query.split()) in [" ".join(block.strip().rstrip(";").split()) for block in documented]


@pytest.mark.parametrize("name", ["it's", "a [b] c", "st*r", "wh?t", "{x}", 'quo"te', "ünï ☃"])
def test_a_root_of_any_name_is_read_and_none_of_another(root, tmp_path, name):
    place = tmp_path / name
    shutil.copytree(root / "sla_targets", place / "sla_targets")
    for other in ("a b c", "stir", "what"):
        shutil.copytree(root / "sla_targets", tmp_path / other / "sla_targets")
    with viewed(place) as connection:
        stored = sum(read_partition(FolderStore(place), "sla_targets", Day(date)).num_rows for date in DATES)
        assert rows(connection, "SELECT count(*) FROM sla_targets") == [(stored,)]
        assert rows(connection, "SELECT count(*) FROM calendar WHERE asset = 'sla_targets'") == [(3,)]


# A DuckDB file of the user.


@pytest.fixture
def file(tmp_path):
    """A DuckDB file with a table, a view, a macro and a schema of the user's."""
    path = tmp_path / "mine.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE goals AS SELECT 'first_reply_time' AS sla_metric, 0.9 AS goal")
        connection.execute("CREATE VIEW my_view AS SELECT * FROM goals; COMMENT ON VIEW my_view IS 'mine'")
        connection.execute("CREATE SCHEMA theirs; CREATE TABLE theirs.sla_targets AS SELECT 1 AS one")
        connection.execute("CREATE MACRO twice(a) AS 2 * a")
    return path


def lake_views(root, *, schema="main"):
    lake = Lake.of(str(root), "UTC", schema=schema)
    return lake, root_views(FolderStore(root), lake)


def listed(path):
    """Everything in a file: its views and tables with comments, its macros and schemas."""
    with duckdb.connect(path, read_only=True) as connection:
        views = rows(
            connection, "SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        )
        tables = rows(connection, "SELECT schema_name, table_name, estimated_size FROM duckdb_tables() ORDER BY ALL")
        macros = rows(connection, "SELECT function_name FROM duckdb_functions() WHERE NOT internal ORDER BY ALL")
        schemas = rows(connection, "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL")
    return views, tables, macros, schemas


def test_the_views_share_a_file_with_what_the_user_has_there(root, file):
    views, *others = listed(file)
    done = write_views(file, *lake_views(root))
    with_ours = listed(file)
    assert set(views) < set(with_ours[0])
    assert with_ours[1:] == tuple(others)
    assert len(with_ours[0]) == len(views) + len(done.made)
    with duckdb.connect(file) as connection:
        joined = "SELECT goal, breaches FROM breaches_per_day JOIN goals USING (sla_metric) WHERE breaches > 0"
        assert [breaches for _, breaches in rows(connection, joined)] == [1]
    assert write_views(file, *lake_views(root)) == done
    assert listed(file) == with_ours


def test_views_that_are_no_longer_made_are_dropped_and_only_they(root, file):
    lake, views = lake_views(root)
    write_views(file, lake, views)
    with_ours = listed(file)
    done = write_views(file, lake, [view for view in views if view.name != "late_now"])
    assert done.dropped == ("late_now",)
    assert listed(file) == ([view for view in with_ours[0] if view[1] != "late_now"], *with_ours[1:])


@pytest.mark.parametrize(
    ("theirs", "schema"),
    [
        ("CREATE TABLE sla_targets AS SELECT 1 AS one", "main"),
        ("CREATE VIEW calendar AS SELECT 1 AS one", "main"),
        ("CREATE VIEW Calendar AS SELECT 1 AS one", "MAIN"),
    ],
)
def test_what_the_user_has_under_the_name_of_a_view_is_kept_and_named(root, file, theirs, schema):
    with duckdb.connect(file) as connection:
        connection.execute(theirs)
    before = listed(file)
    with pytest.raises(UsageError, match=rf"{theirs.split()[2]} in the schema {schema}: not made by .* --schema NAME"):
        write_views(file, *lake_views(root, schema=schema))
    assert listed(file) == before
    done = write_views(file, *lake_views(root, schema="lake"))
    with duckdb.connect(file) as connection:
        assert rows(connection, "SELECT count(*) FROM lake.sla_targets_latest") == [(2,)]
    assert [view for view in listed(file)[0] if view[0] == "main"] == before[0]
    assert len(done.made) == len([view for view in listed(file)[0] if view[0] == "lake"])


def test_two_accounts_share_a_file(root, tmp_path):
    sla_root(tmp_path / "other", Clock(ticket_id=7).apply(9, 60).events, Clock.DAY, Clock.DAY)
    path = tmp_path / "both.duckdb"
    write_views(path, *lake_views(root, schema="acme"))
    write_views(path, *lake_views(tmp_path / "other", schema="globex"))
    with duckdb.connect(path, read_only=True) as connection:
        tickets = "SELECT list(DISTINCT ticket_id ORDER BY ticket_id) FROM {}.sla_targets_latest"
        assert rows(connection, tickets.format("acme")) == [([1, 2],)]
        assert rows(connection, tickets.format("globex")) == [([7],)]
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS attached (READ_ONLY)")
        assert rows(connection, tickets.format("attached.globex")) == [([7],)]


def test_a_new_file_has_the_format_of_the_oldest_duckdb(root, tmp_path):
    write_views(tmp_path / "new.duckdb", *lake_views(root))
    with duckdb.connect(tmp_path / "new.duckdb", read_only=True) as connection:
        (tags,) = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchone()
    assert tags["storage_version"] == "v1.0.0+"


KILLED = """
import os, signal, sys
from pathlib import Path
import duckdb
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.views.catalog import root_views
from ticket_events_pipeline.views.duckdb_file import replace_views
from ticket_events_pipeline.views.lake import Lake

class Killed:
    def __init__(self, connection):
        self.connection, self.left = connection, int(sys.argv[3])
    def execute(self, sql, *parameters):
        if self.left == 0 or (self.left < 0 and sql == "COMMIT"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return self.connection.execute(sql, *parameters)

lake = Lake.of(sys.argv[1], "UTC")
replace_views(Killed(duckdb.connect(sys.argv[2])), lake, root_views(FolderStore(Path(sys.argv[1])), lake))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("statements", "is_new"), [(1, False), (60, False), (-1, False), (10_000, True)])
def test_a_kill_leaves_the_old_or_the_new_views(copy, file, statements, is_new):
    """-1: just before the commit; 10,000: never, but right after it."""
    write_views(file, *lake_views(copy))
    before = listed(file)
    shutil.rmtree(copy / "sla_target_holders")  # its view changes
    killed = subprocess.run([sys.executable, "-c", KILLED, copy, file, str(statements)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (listed(file) != before) == is_new
    if not is_new:
        write_views(file, *lake_views(copy))
    assert listed(file)[1:] == before[1:]
    with duckdb.connect(file) as connection:
        assert rows(connection, "FROM sla_target_holders") == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_open_elsewhere_is_named(root, file, read_only):
    wait = f"import duckdb, sys; c = duckdb.connect({str(file)!r}, {read_only}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(UsageError, match=r"mine\.duckdb: another program has the file open"):
            write_views(file, *lake_views(root))
        other.communicate("")


def test_what_is_no_duckdb_file_is_refused_and_kept(root, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but worth keeping" * 1000)
    with pytest.raises(UsageError, match="DuckDB can't open the file"):
        write_views(path, *lake_views(root))
    assert path.read_text().startswith("not a database")


def test_a_file_in_a_folder_that_does_not_exist_is_named_as_typed(root, tmp_path):
    path = tmp_path / "missing" / "x.duckdb"
    with pytest.raises(UsageError, match=r"there is no folder .*missing\. Make it") as refused:
        write_views(path, *lake_views(root))
    assert str(path) in str(refused.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_new_file_that_cannot_be_made_is_named_as_typed(root, tmp_path):
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="DuckDB can't open the file") as refused:
        write_views(tmp_path / "shut" / "x.duckdb", *lake_views(root))
    assert ".half" not in str(refused.value)


@pytest.mark.slow
def test_a_bucket_that_duckdb_cannot_read_is_a_clear_error(root, tmp_path):
    """DuckDB needs an extension for it, which it can't fetch from where there is nothing."""
    lake = Lake.of("s3://no-such-bucket/lake", "UTC")
    (view,) = (view for view in root_views(FolderStore(root), lake) if view.name == "sla_targets")
    path = tmp_path / "bucket.duckdb"
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    code = f"""
    import duckdb
    from pathlib import Path
    from ticket_events_pipeline.errors import UsageError
    from ticket_events_pipeline.views.duckdb_file import write_views
    from ticket_events_pipeline.views.lake import Lake
    from ticket_events_pipeline.views.sql import View
    try:
        write_views(Path({str(path)!r}), Lake.of("s3://no-such-bucket/lake", "UTC"), [View("a", {view.query!r}, "")])
    except UsageError as error:
        print(error)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "DuckDB can't read s3://no-such-bucket/lake" in ended.stdout, ended.stderr
    assert "extension" in ended.stdout
    assert not path.exists()
    assert list(tmp_path.glob("*.half*")) == []


# The script, and the command.


def test_the_script_makes_the_same_views(root, tmp_path):
    lake, views = lake_views(root)
    write_views(tmp_path / "a.duckdb", lake, views)
    with duckdb.connect(tmp_path / "b.duckdb", config={"storage_compatibility_version": "v1.1.0"}) as connection:
        connection.execute(views_script(lake, views))
        connection.execute(views_script(lake, views))
        assert rows(connection, "SELECT current_setting('TimeZone')") == [("UTC",)]
    assert listed(tmp_path / "a.duckdb") == listed(tmp_path / "b.duckdb")


def test_the_script_replaces_no_view_of_the_user(root, file):
    with duckdb.connect(file) as connection:
        connection.execute("CREATE VIEW Calendar AS SELECT 1 AS one")
        before = listed_in(connection)
        with pytest.raises(duckdb.Error, match=r"Not made by ticket-events views, and not replaced.*Calendar"):
            connection.execute(views_script(*lake_views(root)))
        connection.execute("ROLLBACK")
        assert listed_in(connection) == before


def listed_in(connection):
    return rows(connection, "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL")


def test_the_script_for_a_bucket_says_what_duckdb_needs_and_what_was_not_tested(root):
    lake = Lake.of("s3://bucket/lake", "Europe/Berlin", schema="acme")
    script = views_script(lake, root_views(FolderStore(root), lake))
    assert "-- INSTALL httpfs; LOAD httpfs;" in script
    assert "Only s3:// was tried" in script
    assert "read_parquet('s3://bucket/lake/sla_targets/date=*/*.parquet'" in script
    assert "SET TimeZone = 'Europe/Berlin';" in script
    assert 'CREATE SCHEMA IF NOT EXISTS "acme";' in script


def run(root, *arguments, **variables):
    everything = {**dict.fromkeys(os.environ), "TICKET_EVENTS_ROOT": str(root), "HOME": str(root), **variables}
    return CliRunner().invoke(commands, ["views", *arguments], env=everything)


def test_a_root_without_files_names_the_sandbox_that_has_some(root, tmp_path):
    hint = "Set ZENDESK_SANDBOX=1 to see those of the sandbox."
    assert hint not in run(tmp_path).stderr
    shutil.copytree(root / "ticket_metric_events", tmp_path / "sandbox" / "ticket_metric_events")
    assert hint in run(tmp_path).stderr
    shutil.copytree(root / "ticket_metric_events", tmp_path / "ticket_metric_events")
    assert hint not in run(tmp_path).stderr


def test_the_command_prints_sql_or_writes_files(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run(root, TICKET_EVENTS_DIMENSIONS="custom_field:5")
    assert printed.exit_code == 0, printed.output
    assert '"custom_field:5"' in printed.stdout
    written = run(root, "--output", "views.sql", TICKET_EVENTS_DIMENSIONS="custom_field:5")
    assert (written.exit_code, written.stdout) == (0, "")
    assert (tmp_path / "views.sql").read_text() == printed.stdout
    made = run(root, "--duckdb", "t.duckdb")
    assert (made.exit_code, made.stdout) == (0, "")
    assert "views in t.duckdb, schema main" in made.stderr
    assert "No file is stored yet for ticket_snapshots" in made.stderr
    with duckdb.connect(tmp_path / "t.duckdb", read_only=True) as connection:
        assert rows(connection, "SELECT count(*) FROM late_now") == [(1,)]
    assert [path.name for path in tmp_path.iterdir()].count("views.sql") == 1
    same = run(root, "--duckdb", "acme.duckdb", "--schema", "acme")
    assert (same.exit_code, "DuckDB calls the file acme too" in same.output) == (2, True)
    assert not (tmp_path / "acme.duckdb").exists()


def test_without_duckdb_the_command_says_how_to_install_it(root, tmp_path):
    code = f"import sys; sys.modules['duckdb'] = None; sys.argv[1:] = ['views', '--duckdb', {str(tmp_path / 'a')!r}]; {COMMAND}"
    environment = {"TICKET_EVENTS_ROOT": str(root), "PATH": os.defpath, "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "--duckdb needs more installed: " in ended.stderr
    assert "duckdb>=1.1,<3" in ended.stderr or "duckdb<3,>=1.1" in ended.stderr
    script = code.replace(f", '--duckdb', {str(tmp_path / 'a')!r}", "")
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0
    assert 'CREATE OR REPLACE VIEW "main"."sla_targets_latest"' in ended.stdout


def test_two_files_of_one_snapshot_count_once(copy):
    """One file includes the other for a moment."""
    now = dt.datetime(2026, 3, 4, 9, tzinfo=dt.UTC)
    table = [{"ticket_id": 1, "field": "priority", "value": "high", "seen_at": now, "updated_at": now}]
    more = [*table, {"ticket_id": 2, "field": None, "value": None, "seen_at": now, "updated_at": None}]
    for name, content in (("one", table), ("two", more)):
        path = copy / "ticket_snapshots" / f"date={DAYS[-1]}" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(pa.Table.from_pylist(content, schema=SNAPSHOTS_SCHEMA), path)
    with viewed(copy) as connection:
        assert rows(connection, "SELECT ticket_id, field FROM ticket_snapshots ORDER BY 1") == [(1, "priority"), (2, None)]
