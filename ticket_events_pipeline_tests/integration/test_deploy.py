"""The files in `deploy/`: they load, they agree, and the commands of the units run the pipeline."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
import yaml

from ticket_events_pipeline.cli.systemd import unit_files
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN
from ticket_events_pipeline_tests.support.dev_server import Ui, wait_for
from ticket_events_pipeline_tests.support.events import audit, event
from ticket_events_pipeline_tests.support.object_server import BUCKET, object_server
from ticket_events_pipeline_tests.support.services import free_port, postgres, redis
from ticket_events_pipeline_tests.support.units import DEPLOY, PROGRAMS, example, settings, units

TEMPLATES = CHECKOUT / "ticket_events_pipeline" / "cli" / "templates"
FLEET = ("postgres", "celery")
OF_ITS_OWN = {"storage", "run_coordinator", "run_launcher", "compute_logs", "sensors"}
"""Sections in which a deployment may differ from the laptop's."""
UNITS = sorted(DEPLOY.glob("*/systemd/*.service"))
REDIS_CONF = ("--include", str(DEPLOY / "celery" / "redis.conf"))
DAY = Day.parse("2026-03-02")


def dagster_yaml(kind):
    return yaml.safe_load((DEPLOY / kind / "dagster.yaml").read_text())


def test_the_laptop_has_exactly_what_init_writes():
    folder = DEPLOY / "laptop"
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    written = {f"systemd/{name}": text for name, text in unit_files(Path("/srv/tickets"), Path(PROGRAMS), "tickets").items()}
    written |= {name: (TEMPLATES / name).read_text() for name in ("dagster.yaml", "workspace.yaml")}
    assert files == written


@pytest.mark.parametrize("kind", FLEET)
def test_a_deployment_differs_from_the_laptop_only_in_where_things_are_and_how_many_run(kind):
    found, laptop = dagster_yaml(kind), dagster_yaml("laptop")
    del found["concurrency"]["runs"]
    if kind == "celery":  # a run may wait in the broker for a worker
        assert found["run_monitoring"].pop("start_timeout_seconds") > laptop["run_monitoring"].pop("start_timeout_seconds")
    assert {name: value for name, value in found.items() if name not in OF_ITS_OWN} == laptop


@pytest.mark.parametrize("kind", FLEET)
def test_every_variable_that_the_files_read_is_in_the_examples(kind):
    folder = DEPLOY / kind
    texts = [path.read_text() for path in (*folder.glob("*.yaml"), *folder.glob("systemd/*"))]
    read = {name for text in texts for name in re.findall(r"\{env: (\w+)\}|\$\{?(\w+)", text) for name in name if name}
    assert read <= set(example(folder / "dagster.env.example"))
    known = example(TEMPLATES / "env.example") | dict(
        re.findall(r"^#(\w+)=(.*)$", (TEMPLATES / "env.example").read_text(), re.M)
    )
    account = {name for name in example(folder / "account.env.example") if not name.startswith("DAGSTER_")}
    assert account
    assert account <= set(known)


def test_every_daemon_lets_backfills_wait_for_a_code_server_that_is_replaced():
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]["daemon"]["environment"]
    helm = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())["dagsterDaemon"]["env"]
    units = [example(DEPLOY / kind / "dagster.env.example") for kind in FLEET]
    assert {variables.get("DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR") for variables in (compose, helm, *units)} == {"1"}


def test_a_workspace_names_the_code_location_as_the_laptop_does():
    (laptop,) = yaml.safe_load((DEPLOY / "laptop" / "workspace.yaml").read_text())["load_from"]
    for kind in FLEET:
        (found,) = yaml.safe_load((DEPLOY / kind / "workspace.yaml").read_text())["load_from"]
        assert found["grpc_server"]["location_name"] == laptop["python_module"]["location_name"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_every_unit(tmp_path, unit):
    (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAMS, str(BIN)))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize(
    "unit", [unit for unit in UNITS if "laptop" not in unit.parts], ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_the_account_s_secrets_are_given_only_to_what_loads_or_executes_the_definitions(unit):
    has_account = "/etc/ticket-events/account.env" in settings(unit)["EnvironmentFile"]
    assert has_account == unit.stem.endswith(("code-server", "worker"))


@pytest.mark.parametrize("kind", FLEET)
def test_the_daemon_is_stopped_before_the_code_server_and_started_once_it_answers(kind):
    folder, server = DEPLOY / kind / "systemd", "ticket-events-code-server.service"
    daemon = settings(folder / "ticket-events-daemon.service")
    assert daemon["PartOf"] == [server]
    assert server in daemon["After"][0].split()
    assert "grpc-health-check" in settings(folder / server)["ExecStartPost"][0]


@pytest.mark.slow
def test_every_dagster_yaml_opens_an_instance(tmp_path, monkeypatch):
    with postgres(tmp_path) as database:
        for kind in FLEET:
            for name, value in (example(DEPLOY / kind / "dagster.env.example") | database.env).items():
                monkeypatch.setenv(name, value)
            for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
                monkeypatch.setenv(name, "eu-central-1")
            (home := tmp_path / f"{kind}_home").mkdir()
            shutil.copy(DEPLOY / kind / "dagster.yaml", home)
            with dg.DagsterInstance.from_config(str(home)) as instance:
                assert instance.get_runs_count() == 0
                limits = instance.get_concurrency_config()
                assert limits.pool_config.default_pool_limit == 2
                assert limits.run_queue_config.max_concurrent_runs == 8
                assert (
                    type(instance.run_launcher).__name__
                    == {"postgres": "DefaultRunLauncher", "celery": "CeleryRunLauncher"}[kind]
                )
                assert "S3" in type(instance.compute_log_manager).__name__ or kind == "postgres"
        assert int(database.value("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")) > 20


def redis_answer(url, *words):
    """What Redis says; nothing if there is none."""
    return subprocess.run(["redis-cli", "-u", url, *words], check=False, capture_output=True, text=True).stdout.strip()


def test_a_killed_redis_has_lost_no_run(tmp_path):
    with redis(tmp_path, *REDIS_CONF) as url:
        redis_answer(url, "LPUSH", "dagster", "a run that waits")
        os.kill(int(re.search(r"process_id:(\d+)", redis_answer(url, "INFO", "server"))[1]), signal.SIGKILL)
        place = ("--port", url.rpartition(":")[2], "--dir", str(tmp_path / "redis"))
        with subprocess.Popen(["redis-server", *REDIS_CONF, *place], stdout=subprocess.DEVNULL) as again:
            wait_for(lambda: redis_answer(url, "PING") == "PONG", 30, "Redis answers")
            assert redis_answer(url, "LRANGE", "dagster", "0", "-1") == "a run that waits"
            again.kill()


def test_a_full_redis_refuses_new_runs_and_forgets_none(tmp_path):
    with redis(tmp_path, *REDIS_CONF, "--maxmemory", "3mb") as url:
        answers = [redis_answer(url, "LPUSH", "dagster", "x" * 100_000) for _ in range(40)]
        assert "OOM" in answers[-1]
        taken = sum("OOM" not in answer for answer in answers)
        assert taken > 0
        assert redis_answer(url, "LLEN", "dagster") == str(taken)


MACHINE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(CHECKOUT)}
"""As systemd starts a unit: without the folder of the installation."""
ASSETS = ["ticket_events", "ticket_metric_events"]
LOCATION = "ticket_events_pipeline"
LAUNCH = """mutation($parameters: ExecutionParams!) {
  launchRun(executionParams: $parameters) { ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
FETCHED = """query { runsOrError(filter: {pipelineName: "fetch_ticket_events", statuses: [SUCCESS]}) {
  ... on Runs { results { runId } } } }"""
RUNS = """query { runsOrError { ... on Runs {
  results { runId status creationTime startTime endTime tags { key value } } } } }"""
CAPTURES = """query($run: ID!) { runOrError(runId: $run) { ... on Run {
  eventConnection(limit: 1000) { events { ... on LogsCapturedEvent { fileKey } } } } } }"""
CAPTURED = "query($key: [String!]!) { capturedLogs(logKey: $key) { stderr } }"


@pytest.fixture
def account():
    """The variables of an account with an event of each stream on DAY."""
    made = RecordedAccount()
    made.deliver("ticket_events", [audit(number, DAY.start + number) for number in range(7)])
    made.deliver("ticket_metric_events", [event(number, f"{DAY}T10:00:0{number}Z") for number in range(5)])
    with SandboxServer(made) as server:
        yield {
            "ZENDESK_BASE_URL": server.base_url,
            "ZENDESK_OAUTH_TOKEN": "sandbox",
            "ZENDESK_NAMES": "none",
            "TICKET_EVENTS_START_DATE": "2026-03-01",
            "DAGSTER_EVENT_BATCH_SIZE": "1000",
        }


def code_server_variables():
    return {"DAGSTER_CODE_SERVER_HOST": "127.0.0.1", "DAGSTER_CODE_SERVER_PORT": str(free_port())}


def shows_assets(ui, deployment):
    deployment.restart_ended()
    return ui.is_up() and len(ui.query("query { assetNodes { id } }")["assetNodes"]) > len(ASSETS)


def succeeded(ui, deployment):
    deployment.restart_ended()
    return ui.query(FETCHED)["runsOrError"]["results"]


def fetched(ui, deployment):
    """The id of a run that has fetched DAY, launched as the UI does; on a busy machine, it may be a retry."""
    wait_for(lambda: shows_assets(ui, deployment), 300, f"the assets are in the UI: {deployment.folder}")
    selector = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": "fetch_ticket_events"}
    tags = [{"key": key, "value": value} for key, value in range_tags(DAY, DAY).items()]
    parameters = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
    assert "run" in ui.query(LAUNCH, parameters=parameters)["launchRun"]
    try:
        found = wait_for(lambda: succeeded(ui, deployment), 500, "a run succeeds")
    except AssertionError as error:  # the folder is gone by the time that somebody reads this
        logs = [f"{name}: {deployment.log(name)[-2000:]}" for name in deployment.names]
        raise AssertionError("\n\n".join([str(error), str(ui.query(RUNS)), *logs])) from error
    return found[0]["runId"]


def captured(ui, run):
    """What the run printed, as the UI shows it."""
    events = ui.query(CAPTURES, run=run)["runOrError"]["eventConnection"]["events"]
    (key,) = [found["fileKey"] for found in events if "fileKey" in found]
    return ui.query(CAPTURED, key=[run, "compute_logs", key])["capturedLogs"]["stderr"]


def rows(store):
    return [read_partition(store, asset, DAY).num_rows for asset in ASSETS]


def exit_code(deployment, *command):
    """That of a health check, with the variables of the daemon."""
    program = [str(BIN / command[0]), *command[1:]]
    env = deployment.env("daemon")
    return subprocess.run(program, env=env, cwd=deployment.folder, capture_output=True, timeout=300, check=False).returncode


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_units_of_postgres_fetch_a_day_answer_health_checks_and_stop_when_asked(tmp_path, account):
    with postgres(tmp_path) as database:
        root = tmp_path / "root"
        variables = {**database.env, **code_server_variables(), **account, "TICKET_EVENTS_ROOT": str(root)}
        with units("postgres", tmp_path / "units", variables, MACHINE) as deployment:
            ui = Ui(deployment.web_port)
            run = fetched(ui, deployment)
            assert rows(FolderStore(root)) == [7, 5]
            assert "STEP_SUCCESS" in captured(ui, run)
            port = variables["DAGSTER_CODE_SERVER_PORT"]
            assert exit_code(deployment, "dagster", "api", "grpc-health-check", "-p", port) == 0
            assert exit_code(deployment, "dagster-daemon", "liveness-check") == 0
            started, second = (deployment.command("code-server", setting) for setting in ("ExecStartPost", "ExecStartPre"))
            subprocess.run(started, env=deployment.env("code-server"), capture_output=True, timeout=300, check=True)
            refused = subprocess.run(second, env=deployment.env("code-server"), capture_output=True, text=True, check=False)
            assert (refused.returncode, "Another code server answers" in refused.stdout) == (1, True)
            for name in deployment.names:
                deployment.stop(name)
            assert exit_code(deployment, "dagster", "api", "grpc-health-check", "-p", port) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_which_run_a_celery_worker_executes_is_kept_in_postgres_and_its_output_is_shown_by_the_web_server(tmp_path, account):
    with ExitStack() as stack:
        database = stack.enter_context(postgres(tmp_path))
        queue = stack.enter_context(redis(tmp_path, *REDIS_CONF))
        bucket = stack.enter_context(object_server())
        variables = {
            **example(DEPLOY / "celery" / "dagster.env.example"),
            **database.env,
            **code_server_variables(),
            **bucket.env,
            **account,
            "CELERY_BROKER_URL": f"{queue}/0",
            "CELERY_RESULT_BACKEND": database.celery_results,
            "DAGSTER_LOGS_BUCKET": BUCKET,
            "DAGSTER_LOGS_FOLDER": str(tmp_path / "staged"),
            "TICKET_EVENTS_ROOT": bucket.root("root"),
        }
        deployment = stack.enter_context(units("celery", tmp_path / "units", variables, {**MACHINE, **bucket.env}))
        ui = Ui(deployment.web_port)
        run = fetched(ui, deployment)
        with bucket.exported():
            assert rows(open_store(variables["TICKET_EVENTS_ROOT"])) == [7, 5]
        shutil.rmtree(tmp_path / "staged")  # of another host, the web server has the bucket only
        assert "STEP_SUCCESS" in captured(ui, run)
        assert redis_answer(f"{queue}/0", "KEYS", "celery-task-meta-*") == ""
        statuses = "SELECT DISTINCT status FROM celery_taskmeta"
        wait_for(lambda: "SUCCESS" in database.value(statuses), 60, "the task of the run is done")
        written = [path.read_text() for path in (deployment.folder / "dagster_home" / "dagster_celery").rglob("*.py")]
        assert written
        assert not any(queue in text for text in written)
        deployment.stop("worker")
