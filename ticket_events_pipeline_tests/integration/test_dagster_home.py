"""A DAGSTER_HOME shows the days of one account and root: under another one, nothing is recorded, requested or run in it."""

import datetime as dt
import os
import shutil
from contextlib import contextmanager

import dagster as dg
import pytest

from ticket_events_pipeline.cli.doctor import run_doctor
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import SCOPE
from ticket_events_pipeline.defs.dagster_home import adopt_dagster_home, dagster_home_problem
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import program
from ticket_events_pipeline_tests.support.checkout import DAGSTER_YAML
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, deployed
from ticket_events_pipeline_tests.support.events import event

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]
LATER = Day.parse("2026-03-20").start
METRIC = "ticket_metric_events"
ALL_MADE = "Every landed day's summary was made from what is stored now."


pytestmark = pytest.mark.slow


@contextmanager
def running(world):
    """A deployment of the account acme, whose server has an event of each day."""
    with deployed(world / "root", now=LATER, home=world / "home") as deployment, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZENDESK_SUBDOMAIN", "acme")
        patch.setenv("DAGSTER_HOME", str(world / "home"))
        deployment.account.deliver(METRIC, [event(number, f"{day}T09:00:00Z") for number, day in enumerate(DAYS)])
        yield deployment


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of a folder with the three days of acme, fetched, summarised and recorded in a DAGSTER_HOME; and that folder."""
    world = tmp_path_factory.mktemp("made") / "world"
    (world / "home").mkdir(parents=True)
    shutil.copy(DAGSTER_YAML, world / "home")
    with running(world) as deployment:
        deployment.fetch(DAYS[0], DAYS[-1])
        deployment.settle()
        assert deployment.message == ALL_MADE
    return shutil.copytree(world, world.with_name("copy")), world


@pytest.fixture
def world(made):
    """The folder as it was then, at the same path: the home knows it."""
    copy, world = made
    shutil.rmtree(world)
    return shutil.copytree(copy, world)


@pytest.fixture
def deployment(world):
    with running(world) as deployment:
        deployment.restart()
        yield deployment


def skipped(deployment, schedule):
    """Why the schedule skips its tick, or None."""
    at = dt.datetime.fromtimestamp(LATER, dt.UTC)
    context = dg.build_schedule_context(deployment.instance, scheduled_execution_time=at, repository_def=REPOSITORY)
    answer = REPOSITORY.get_schedule_def(schedule)(context)
    return answer.skip_message if isinstance(answer, dg.SkipReason) else None


def failure(run):
    (description,) = {step.step_failure_data.user_failure_data.description for step in run.all_events if step.is_step_failure}
    return description


def refusals(deployment):
    """The message of the sensor, of both schedules, of a run of every job and of the doctor, which all refuse."""
    requests, before = len(deployment.server.requests), deployment.instance.event_log_storage.get_maximum_record_id()
    tick = deployment.tick()
    assert (tick.run_requests, tick.asset_events) == ([], [])
    messages = [deployment.message.removeprefix("Nothing was compared. ")]
    messages += [skipped(deployment, schedule) for schedule in ("hourly_fetch", "daily_restatement")]
    assert deployment.instance.event_log_storage.get_maximum_record_id() == before
    days = {asset: deployment.recorded(asset) for asset in (METRIC, "sla_clocks")}
    for job in ("fetch_ticket_events", "summarize_sla_breaches"):
        run = deployment.run(job, DAYS[1])
        assert not run.success
        messages.append(failure(run))
    messages.append(dagster_home_problem(os.environ))
    assert {asset: deployment.recorded(asset) for asset in days} == days
    assert len(deployment.server.requests) == requests
    return messages


def runs_again(deployment, day=DAYS[1]):
    """Whether the sensor compares, and a fetch runs."""
    deployment.settle()
    return deployment.message.startswith(ALL_MADE) and deployment.run("fetch_ticket_events", day).success


def forget_stamp(deployment):
    """As in a home that an earlier version used."""
    deployment.instance.run_storage.set_cursor_values({"ticket_events_pipeline/dagster_home/": ""})


def test_another_root_is_refused_everywhere_until_it_is_set_back(deployment, monkeypatch, world):
    stored = deployment.files()
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "other"))
    (message,) = set(refusals(deployment))
    home, root, other = (world / name for name in ("home", "root", "other"))
    assert message == (
        f"DAGSTER_HOME {home} shows the days of account acme, files below {root}; but set now is account acme, files below "
        f"{other}. Its days would look materialized though they are not stored, so nothing is recorded or requested. Set "
        "DAGSTER_HOME to another folder (under make, move this one away), or set the variables back. If the files were moved: "
        f"DAGSTER_HOME={home} {program()} doctor --adopt-dagster-home"
    )
    assert not other.exists() or not list(other.rglob("*.parquet"))
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(root))
    assert runs_again(deployment)
    assert deployment.files().keys() == stored.keys()


def test_another_account_that_was_never_fetched_is_refused_though_its_root_is_empty(deployment, monkeypatch, world):
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "other"))
    monkeypatch.setenv("ZENDESK_SUBDOMAIN", "globex")
    (message,) = set(refusals(deployment))
    assert f"account acme, files below {world / 'root'}; but set now is account globex, files below" in message
    assert "If acme is this account's former name, set ZENDESK_FORMER_SUBDOMAINS=acme" in message
    assert "--adopt-dagster-home" not in message


def test_a_renamed_account_keeps_its_home_and_then_its_new_name_counts(deployment, monkeypatch):
    monkeypatch.setenv("ZENDESK_SUBDOMAIN", "acme-new")
    assert len(set(refusals(deployment))) == 1
    monkeypatch.setenv("ZENDESK_FORMER_SUBDOMAINS", "acme")
    assert runs_again(deployment)
    monkeypatch.setenv("ZENDESK_FORMER_SUBDOMAINS", "")
    monkeypatch.setenv("ZENDESK_SUBDOMAIN", "acme")
    assert "shows the days of account acme-new" in dagster_home_problem(os.environ)


def test_without_a_name_of_the_account_only_the_root_counts(deployment, monkeypatch, world):
    for name in ("ZENDESK_SUBDOMAIN", "ZENDESK_BASE_URL"):
        monkeypatch.delenv(name)
    assert dagster_home_problem(os.environ) is None
    deployment.tick()
    assert deployment.message == ALL_MADE
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "other"))
    assert "but set now is files below" in dagster_home_problem(os.environ)
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "root"))
    monkeypatch.setenv("ZENDESK_SUBDOMAIN", "globex")
    assert "shows the days of account acme" in dagster_home_problem(os.environ)


def test_in_a_home_of_an_earlier_version_the_newest_record_says_whose_it_is(deployment, monkeypatch, world):
    forget_stamp(deployment)
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "other"))
    (message,) = set(refusals(deployment))
    assert f"shows the days of files below {world / 'root'}; but set now is account acme, files below" in message
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "root"))
    assert runs_again(deployment)
    monkeypatch.setenv("ZENDESK_SUBDOMAIN", "globex")
    assert "shows the days of account acme" in dagster_home_problem(os.environ)


def test_a_home_without_records_is_anyones(deployment, monkeypatch, world):
    deployment.instance.wipe()
    deployment.clock.now += 60
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "other"))
    assert dagster_home_problem(os.environ) is None
    deployment.fetch(DAYS[0])
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "root"))
    assert f"shows the days of account acme, files below {world / 'other'}" in dagster_home_problem(os.environ)


def test_the_same_folder_by_another_path_is_the_same_root(deployment, monkeypatch, world):
    (world / "link").symlink_to(world / "root")
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "link"))
    assert runs_again(deployment)


def test_moved_files_keep_their_home_once_it_is_adopted(deployment, monkeypatch, world, capsys):
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "moved"))
    with pytest.raises(UsageError, match="holds no fetched day"):
        adopt_dagster_home(os.environ)
    shutil.move(world / "root", world / "moved")
    assert not run_doctor()
    assert f"FAIL  DAGSTER_HOME {world / 'home'} shows the days of" in capsys.readouterr().out
    assert run_doctor(adopts_home=True)
    assert f"ok    DAGSTER_HOME: {world / 'home'} is kept for account acme" in capsys.readouterr().out
    assert run_doctor()
    deployment.root = world / "moved"
    assert runs_again(deployment)
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "root"))
    assert dagster_home_problem(os.environ) is not None


def test_another_accounts_files_are_not_adopted(deployment, monkeypatch, world):
    shutil.copytree(world / "root", world / "moved")
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(world / "moved"))
    monkeypatch.setenv("ZENDESK_SUBDOMAIN", "globex")
    with pytest.raises(UsageError, match="that was made otherwise"):
        adopt_dagster_home(os.environ)
    assert dagster_home_problem(os.environ) is not None


def test_without_a_home_there_is_no_problem_and_nothing_to_adopt(monkeypatch, tmp_path):
    assert dagster_home_problem({}) is None
    assert dagster_home_problem({"DAGSTER_HOME": str(tmp_path / "nowhere")}) is None
    with pytest.raises(UsageError, match="DAGSTER_HOME is not set to a folder that exists"):
        adopt_dagster_home({})


def test_a_home_that_dagster_cannot_open_is_named_without_its_contents(tmp_path):
    (tmp_path / "dagster.yaml").write_text("storage: {postgres: {postgres_url: 'postgresql://u:secret-7@nowhere/x', more: 1}}")
    with pytest.raises(UsageError, match="Dagster can't open") as caught:
        dagster_home_problem({"DAGSTER_HOME": str(tmp_path)})
    assert "secret-7" not in str(caught.value)


def test_accounts_of_one_location_share_a_home_and_have_a_stamp_each(deployment, world):
    """Their asset keys differ; what one of them shows is no day of the other."""
    other = account_scope("globex", lambda: {"ZENDESK_SUBDOMAIN": "globex", "TICKET_EVENTS_ROOT": str(world / "globex")})
    sensor = REPOSITORY.get_sensor_def("new_event_partitions_sensor").name
    from ticket_events_pipeline.defs.definitions import account_definitions

    repository = account_definitions(other).get_repository_def()
    context = dg.build_sensor_context(instance=deployment.instance, repository_def=repository)
    result = repository.get_sensor_def(f"globex_{sensor}")(context)
    assert result.skip_reason.skip_message == f"No day has landed below {world / 'globex'}."
    assert SCOPE.named(sensor) == sensor
    assert runs_again(deployment)


def test_an_emptied_root_is_not_green_without_a_word(deployment):
    for folder in (METRIC, "ticket_events"):
        shutil.rmtree(deployment.root / folder)
    deployment.tick()
    assert deployment.message == (
        f"No day has landed below {deployment.root}. Green in the UI, but not stored: ticket_events, {METRIC} of {DAYS[0]} to "
        f"{DAYS[-1]}. Backfill these days, not only missing ones."
    )
    deployment.clock.now += 60
    deployment.fetch(DAYS[0], DAYS[1])
    deployment.settle()
    assert f"Green in the UI, but not stored: ticket_events, {METRIC} of {DAYS[-1]}." in deployment.message
    deployment.fetch(DAYS[-1])
    deployment.settle()
    assert deployment.message.startswith(ALL_MADE)
    assert "Green in the UI" not in deployment.message
