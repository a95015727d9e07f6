"""The whole pipeline on a bucket: the same days as in a folder, down to the query of the docs."""

import datetime as dt
import re

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_partition, write_partition
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPOSITORY, deployed
from ticket_events_pipeline_tests.support.object_server import SECRET, object_server

GUIDE = (CHECKOUT / "docs/how-to/object-store.md").read_text()
DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]
NOON = dt.datetime(2026, 3, 10, 12, 7, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def server():
    with object_server() as running:
        yield running


def events():
    """Three days of metric events and audits, and a rejected row."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    metric, audits = [{"ticket_id": 1, "time": f"{DAYS[0]}T12:00:00Z"}], []
    for number, day in enumerate(DAYS):
        base = {"ticket_id": 10 + number, "metric": "reply_time", "instance_id": 1}
        metric.append({**base, "id": 10 * number + 1, "type": "apply_sla", "time": f"{day}T09:00:00Z", "sla": sla})
        metric.append({**base, "id": 10 * number + 2, "type": "breach", "time": f"{day}T10:00:00Z"})
        seen = Day.parse(day).start + 60
        audits.append(
            {"id": 10 * number + 3, "ticket_id": 10 + number, "timestamp": seen, "child_events": [{"body": "x" * 500}]}
        )
    return {"ticket_metric_events": metric, "ticket_events": audits}


def what_is_made(root, url=None):
    """The files, tables, hashes, rejected rows and printed figures of the three days."""
    with deployed(root, now=NOON.timestamp(), url=url) as deployment:
        for stream, rows in events().items():
            deployment.account.deliver(stream, rows)
        deployment.fetch(DAYS[0], DAYS[-1])
        assert deployment.settle() == [(DAYS[0], DAYS[-1])]
        files = deployment.files()
        made: dict[object, object] = {(asset, day): deployment.table(asset, day) for asset in ASSETS for day in DAYS}
        for asset in ASSETS[:2]:
            made |= {("hash", asset, day): deployment.footer(asset, day)["content_hash"] for day in DAYS}
        rejected = {path: content for path, content in files.items() if path.startswith("_rejected")}
        # The files of snapshots are named at random.
        named = [path for path in files if not path.startswith("ticket_snapshots/date=")]
        return {**made, "paths": sorted(named), "rejected": rejected, **what_commands_print()}


def what_commands_print():
    """The summaries as CSV, and what `verify` concludes."""
    summary = CliRunner().invoke(commands, ["summary", f"{DAYS[0]}..{DAYS[-1]}", "--format", "csv"])
    verified = CliRunner().invoke(commands, ["verify"])
    assert (summary.exit_code, verified.exit_code) == (0, 0), verified.output
    return {"summary": summary.stdout_bytes, "verified": verified.stdout.splitlines()[-1]}


@pytest.fixture(scope="module")
def made_in_a_folder(tmp_path_factory):
    return what_is_made(tmp_path_factory.mktemp("folder"))


@pytest.mark.slow
def test_a_bucket_has_the_same_days_as_a_folder(bucket, bucket_root, made_in_a_folder, tmp_path):
    """Through the assets, the sensor and two commands: tables, hashes, paths, rejected rows, and the summary to the byte."""
    folder = made_in_a_folder
    made = what_is_made(tmp_path / "nothing", bucket_root)
    shared = ["_rejected", "latest.html", "explained.html", "ticket_snapshots/_status.json"]
    assert len(folder["paths"]) == (len(ASSETS) + 1) * len(DAYS) + len(shared)
    assert isinstance(folder["daily_sla_breach_summary", DAYS[0]], pa.Table)
    assert folder == made
    assert made["verified"].startswith("All 6 day files are complete and consistent")
    assert not (tmp_path / "nothing").exists()
    assert bucket.unfinished_uploads() == []


@pytest.mark.slow
def test_the_hourly_fetch_starts_after_the_days_in_the_bucket(server, tmp_path):
    with server.exported(), deployed(tmp_path, now=NOON.timestamp(), home=tmp_path, url=server.root("hourly")) as deployment:
        deployment.fetch("2026-03-06", "2026-03-07")
        context = dg.build_schedule_context(deployment.instance, scheduled_execution_time=NOON, repository_def=REPOSITORY)
        request = REPOSITORY.get_schedule_def("hourly_fetch")(context)
        assert isinstance(request, dg.RunRequest)
        assert request.tags["dagster/asset_partition_range_start"] == "2026-03-08"
        server.fail("/lake", 403, code="AccessDenied")
        skipped = REPOSITORY.get_schedule_def("hourly_fetch")(context)
        server.heal()
    assert isinstance(skipped, dg.SkipReason)
    assert "can't list s3://lake/hourly/ticket_events (403: AccessDenied" in skipped.skip_message


@pytest.mark.slow
def test_the_commands_work_on_a_bucket_and_the_readmes_query_reads_it(server, tmp_path, capsys):
    """`dagster asset materialize` twice and the doctor; no credential is in any file or line afterwards."""
    root = server.root("commands")
    with SandboxServer(SimulatedAccount(tickets_per_day=30)) as zendesk:
        place = new_place(tmp_path, zendesk, **server.env, TICKET_EVENTS_ROOT=root)
        outputs = []
        for _ in range(2):
            ended = place.materialize("*", DAYS[0], DAYS[-1])
            assert ended.code == 0, ended.output[-3000:]
            outputs.append(ended.output)
        doctor = place.ticket_events("doctor")
        assert (doctor.code, doctor.output.count("FAIL")) == (0, 0), doctor.output
        assert f"root: {root} can be written" in doctor.output
        assert place.recorded_days(ASSETS[4]) == set(DAYS)
    assert SECRET not in "".join([*outputs, doctor.output])
    assert place.holds(SECRET) == []
    assert not place.root.exists()
    with server.exported():
        store = open_store(root)
        left = [path for path in store.paths("_inflight") if "half_written" in path]
        assert left == []
        expected = {day: sum(read_partition(store, ASSETS[4], Day.parse(day))["breaches"].to_pylist()) for day in DAYS}
        (query,) = (block for block in re.findall(r"```py\n(.*?)```", GUIDE, re.DOTALL) if "s3://bucket/prefix" in block)
        exec(query.replace("s3://bucket/prefix", root), {})  # noqa: S102  # our own page
    shown = capsys.readouterr().out
    assert {day: int(breaches) for day, breaches in re.findall(r"(2026-03-\d\d) │ +(\d+)", shown)} == expected
    assert sum(expected.values())


def test_the_guides_query_reads_any_bucket(bucket, bucket_root, capsys):
    """With the pipeline's own library, which knows the credentials of each provider."""
    summary = pa.table({"breaches": pa.array([2, 3], pa.int64())})
    for day in DAYS[:2]:
        write_partition(open_store(bucket_root), ASSETS[4], Day.parse(day), summary, {})
    (query,) = (block for block in re.findall(r"```py\n(.*?)```", GUIDE, re.DOTALL) if "FsspecStore" in block)
    scheme, _, path = bucket_root.partition("://")
    with bucket.exported(AWS_ALLOW_HTTP="true", AZURE_ALLOW_HTTP="true", GOOGLE_ALLOW_HTTP="true"):
        exec(query.replace("container/prefix", path).replace('"az"', f'"{scheme}"'), {})  # noqa: S102  # our own page
    assert re.findall(r"(2026-03-\d\d) │ +(\d+)", capsys.readouterr().out) == [(day, "5") for day in DAYS[:2]]


@pytest.mark.slow
def test_the_demo_fills_a_bucket_and_its_progress_bar(server, tmp_path):
    place = new_place(tmp_path, **server.env, TICKET_EVENTS_ROOT=server.root("demo"))
    ended = place.ticket_events("demo")
    assert ended.code == 0, ended.output
    assert "360/360" in ended.output
    assert f"The files: {server.root('demo')}/sandbox/<asset>" in ended.output


def test_the_doctor_says_what_to_fix_about_a_bucket(server, tmp_path):
    with SandboxServer(RecordedAccount()) as zendesk:
        place = new_place(tmp_path, zendesk, **server.env, TICKET_EVENTS_ROOT="s3://nowhere/prefix")
        ended = place.ticket_events("doctor")
    assert ended.code == 1
    assert re.search(r"FAIL  TICKET_EVENTS_ROOT: can't write s3://nowhere/prefix/\S+ \(404: NoSuchBucket", ended.output)
    assert "ok    credentials" in ended.output
    assert "Traceback" not in ended.output
