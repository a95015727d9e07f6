"""`ticket-events publish`, the asset `published_tables` and what the doctor says of them."""

import json
from pathlib import Path

import dagster as dg
import pytest

from ticket_events_pipeline.cli.doctor_checks import Deployment, Status
from ticket_events_pipeline.cli.publish_checks import PUBLISH_CHECKS
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline_tests.support.commands import BIN, DEFINITIONS, new_place
from ticket_events_pipeline_tests.support.published import ACCOUNT, FORMATS, Lakehouse, made_up, put_day

DAY = Day.parse("2026-03-02")
ASSET = "sla_targets"
VARIABLES = {"delta": "TICKET_EVENTS_PUBLISH_DELTA", "iceberg": "TICKET_EVENTS_PUBLISH_ICEBERG"}


@pytest.fixture
def place(tmp_path):
    made = new_place(tmp_path, ZENDESK_SUBDOMAIN=ACCOUNT)
    for number in range(2):
        put_day(made.root, ASSET, DAY.plus(number), made_up(ASSET, 3, seed=number))
    return made


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_publishes_and_says_what_it_did(place, name):
    lakehouse = Lakehouse(name, place.folder)
    ended = place.ticket_events("publish", "--to", name, name, "--asset", ASSET)
    assert (ended.code, "2 new days" in ended.output) == (0, True), ended.output
    assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)
    again = place.ticket_events("publish", "--asset", ASSET, "--json", **{VARIABLES[name]: name})
    (document,) = json.loads(again.output)
    version = document.pop("version")
    assert version
    assert document == {
        "format": name,
        "asset": ASSET,
        "url": f"{lakehouse.uri}/{ASSET}",
        "stored_days": 2,
        "new_days": 0,
        "changed_days": 0,
        "removed_days": 0,
        "rows": 0,
        "problems": [],
    }


def test_the_history_of_a_table_that_is_refused_stays(place):
    lakehouse = Lakehouse("delta", place.folder)
    lakehouse.publish(ASSET)
    put_day(place.root, ASSET, DAY, made_up(ASSET, 1, seed=7))
    lakehouse.publish(ASSET)
    old = len(list(Path(lakehouse.uri).rglob("part-*.parquet")))
    other = place.folder / "other"
    place.root.rename(other)
    arguments = ("publish", "--to", "delta", "delta", "--asset", ASSET, "--expire-history", "0")
    ended = place.ticket_events(*arguments, TICKET_EVENTS_ROOT=str(other))
    assert (ended.code, "--adopt" in ended.output, "not published" in ended.output) == (1, True, True)
    assert "no table yet" not in ended.output
    assert len(list(Path(lakehouse.uri).rglob("part-*.parquet"))) == old
    ended = place.ticket_events(*arguments, "--adopt", TICKET_EVENTS_ROOT=str(other))
    assert ended.code == 0, ended.output
    assert len(list(Path(lakehouse.uri).rglob("part-*.parquet"))) == old - 1


def test_wrong_usage_is_explained(place):
    for arguments, message in (
        ((), "Nowhere to publish to: give --to, or set TICKET_EVENTS_PUBLISH_DELTA or TICKET_EVENTS_PUBLISH_ICEBERG."),
        (("--to", "delta", "x", "--asset", "sla_clocks"), "--asset sla_clocks: not one of ticket_events"),
        (("--to", "delta", f"{place.root}/delta"), "lie in each other"),
        (("--to", "iceberg", "/proc/x"), "--to iceberg: /proc/x can't be written: No such file or directory."),
        (("--to", "delta", "s3://key:secret@bucket/x"), "holds a secret before the @"),
    ):
        ended = place.ticket_events("publish", *arguments)
        assert ended.code != 0
        assert message in " ".join(ended.output.split()), ended.output
    assert "secret@" not in ended.output


def test_targets_that_lie_in_each_other_are_refused_before_anything_is_made(place):
    ended = place.ticket_events("publish", "--to", "delta", "x", "--to", "iceberg", f"x/{ASSET}")
    assert (ended.code, "--to delta and --to iceberg lie in each other" in ended.output) == (1, True), ended.output
    both = dict.fromkeys(VARIABLES.values(), "x")
    ended = place.ticket_events("publish", **both)
    assert (ended.code, f"{' and '.join(both)} lie in each other" in ended.output) == (1, True), ended.output
    assert not (place.folder / "x").exists()


def test_a_target_without_credentials_is_named_by_its_option(place):
    ended = place.ticket_events("publish", "--to", "delta", "s3://nowhere/x", AWS_PROFILE="missing")
    assert (ended.code, "--to delta: no credentials for s3://nowhere/x" in ended.output) == (1, True), ended.output


def test_a_dry_run_of_an_unchanged_table_only_says_that(place):
    Lakehouse("delta", place.folder).publish(ASSET)
    ended = place.ticket_events("publish", "--to", "delta", "delta", "--asset", ASSET, "--dry-run")
    assert ("up to date" in ended.output, "to publish" in ended.output) == (True, False), ended.output


def test_a_missing_extra_is_named(place):
    """A module that can't be imported stands for one that isn't installed."""
    blocked = place.folder / "blocked"
    blocked.mkdir()
    (blocked / "deltalake.py").write_text("raise ModuleNotFoundError('No module named deltalake', name='deltalake')")
    command = (str(BIN / "ticket-events"), "publish", "--to", "delta", "lakehouse")
    ended = place.run(*command, PYTHONPATH=str(blocked))
    assert ended.code == 1
    assert "Publishing to delta needs more installed: " in ended.output
    assert "pip install" in ended.output


@pytest.mark.slow
def test_definitions_load_without_the_extra(place):
    blocked = place.folder / "blocked"
    blocked.mkdir()
    for name in ("deltalake", "pyiceberg"):
        (blocked / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name='{name}')")
    validated = place.run(
        "dagster",
        "definitions",
        "validate",
        "-m",
        DEFINITIONS,
        PYTHONPATH=str(blocked),
        TICKET_EVENTS_PUBLISH_DELTA="lakehouse",
    )
    assert validated.code == 0, validated.output


def test_the_doctor_opens_the_tables_and_finds_conversions_in_place(place):
    def said(**variables):
        checked = Deployment({**place.variables, "ZENDESK_OAUTH_TOKEN": "made-up", **variables}, log=lambda _: None)
        return [finding for check in PUBLISH_CHECKS for finding in check(checked)]

    lakehouse = Lakehouse("delta", place.folder)
    assert said() == []
    lakehouse.publish(ASSET)
    (opened,) = said(TICKET_EVENTS_PUBLISH_DELTA=lakehouse.uri)
    assert (opened.status, opened.text) == (Status.OK, f"publish: 1 delta table at {lakehouse.uri}")
    (inside,) = said(TICKET_EVENTS_PUBLISH_ICEBERG=f"{place.root}/iceberg")
    assert inside.status == Status.FAILED
    assert inside.text.startswith(f"TICKET_EVENTS_PUBLISH_ICEBERG: {place.root}/iceberg and the root")
    (shared,) = said(TICKET_EVENTS_PUBLISH_DELTA=lakehouse.uri, TICKET_EVENTS_PUBLISH_ICEBERG=f"{lakehouse.uri}/{ASSET}")
    assert shared.status == Status.FAILED
    assert shared.text.startswith("TICKET_EVENTS_PUBLISH_DELTA and TICKET_EVENTS_PUBLISH_ICEBERG lie in each other: ")
    (mixed,) = said(TICKET_EVENTS_PUBLISH_ICEBERG=lakehouse.uri)
    assert (mixed.status, "has a table in the format delta" in mixed.text) == (Status.FAILED, True)
    for unwritable in ("/proc/x", f"{place.folder}/file/x"):
        (place.folder / "file").touch()
        (refused,) = said(TICKET_EVENTS_PUBLISH_DELTA=unwritable)
        assert (refused.status, f"{unwritable} can't be written" in refused.text) == (Status.FAILED, True), refused
    (new,) = said(TICKET_EVENTS_PUBLISH_DELTA=f"{place.folder}/new")
    assert (new.status, list(place.folder.glob("*new*")), list(place.folder.glob(".*"))) == (Status.OK, [], [])
    for left in ("_delta_log/00000000000000000000.json", "metadata/v1.metadata.json", "date=2026-03-02/ducklake-1.parquet"):
        path = place.root / ASSET / left
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    assert [finding.text.partition(" of the stored files")[0] for finding in said()] == [
        f"{place.root}/sla_targets/_delta_log makes a Delta table",
        f"{place.root}/sla_targets/date=2026-03-02/ducklake-1.parquet makes a DuckLake table",
        f"{place.root}/sla_targets/metadata makes an Iceberg table",
    ]


def definitions(root: Path, **variables: str) -> dg.Definitions:
    env = {"TICKET_EVENTS_ROOT": str(root), "ZENDESK_SUBDOMAIN": ACCOUNT, "TICKET_EVENTS_START_DATE": str(DAY), **variables}
    return account_definitions(account_scope("", lambda: {**env, "ZENDESK_OAUTH_TOKEN": "made-up"}))


@pytest.mark.slow
def test_a_range_of_days_of_all_assets_is_one_run_with_the_published_tables(tmp_path):
    """An asset without partitions would make Dagster refuse the range, if it had no single-run policy."""
    last = str(Day.containing(wall_clock()))
    variables = {"ZENDESK_SANDBOX": "1", "TICKET_EVENTS_PUBLISH_DELTA": str(tmp_path / "delta")}
    place = new_place(tmp_path, **variables)
    ended = place.materialize("*", last, last)
    assert ended.code == 0, ended.output
    assert Lakehouse("delta", tmp_path).delta("ticket_events").count() > 0


def test_without_a_place_to_publish_to_there_is_no_asset(tmp_path):
    assert "published_tables" not in {key.to_user_string() for key in definitions(tmp_path).resolve_all_asset_keys()}


def test_the_asset_publishes_and_shows_what_it_did(place):
    with dg.DagsterInstance.ephemeral() as instance:
        found = definitions(place.root, **{variable: str(place.folder / name) for name, variable in VARIABLES.items()})
        job = found.resolve_job_def("publish_to_lakehouse")
        assert job.execute_in_process(instance=instance).success
        (run,) = instance.get_runs()
        lines = [entry.user_message for entry in instance.all_logs(run.run_id)]
        for name in FORMATS:
            prefix = f"{place.folder}/{name}/{ASSET} ({name}): 2 days published, "
            assert len([line for line in lines if line.startswith(prefix)]) == 1
        event = instance.get_latest_materialization_event(dg.AssetKey("published_tables"))
        metadata = event.asset_materialization.metadata
        assert metadata["published_days"].value == 4
        assert f"| delta | sla_targets | 2 | 6 | {'&#47;'}" in metadata["tables"].value
        for name in FORMATS:
            lakehouse = Lakehouse(name, place.folder)
            assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)
        (place.root / ASSET / f"date={DAY}" / f"{ASSET}.parquet").write_bytes(b"PAR1 damaged PAR1")
        assert not job.execute_in_process(instance=instance, raise_on_error=False).success
