"""`deploy/compose`: secrets reach their processes and nothing else, the files agree, and the demo works as processes."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.compose import (
    CODE_SERVER,
    CODE_SERVER_HEALTH,
    COMPOSE,
    HOME,
    compose_file,
    containers,
)
from ticket_events_pipeline_tests.support.dev_server import Ui, wait_for
from ticket_events_pipeline_tests.support.object_server import client, object_server
from ticket_events_pipeline_tests.support.services import PASSWORD, postgres
from ticket_events_pipeline_tests.support.units import example

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
DEMO = example(COMPOSE / "demo.env")
BUCKET = "ticket-events"


def with_secrets(folder, *command, user=None):
    as_user = [] if user is None else ["setpriv", f"--reuid={user}", "--clear-groups"]
    env = {"PATH": os.environ["PATH"], "SECRETS_FOLDER": str(folder)}
    return subprocess.run(
        [*as_user, str(COMPOSE / "with-secrets"), *command], env=env, capture_output=True, text=True, check=False
    )


def test_every_file_of_the_secrets_is_a_variable_of_the_command(tmp_path):
    """Also one whose text means something to a shell; without the line end of an editor."""
    (tmp_path / "zendesk_oauth_client_secret").write_text("""a b$(id)"'`\\n*""" + "\n")
    (tmp_path / "zendesk_oauth_client_id").write_text("")
    (tmp_path / "kubernetes.io").mkdir()
    found = json.loads(with_secrets(tmp_path, "python3", "-c", SHOW).stdout)
    assert found["ZENDESK_OAUTH_CLIENT_SECRET"] == """a b$(id)"'`\\n*"""
    assert "ZENDESK_OAUTH_CLIENT_ID" not in found  # the demo leaves it empty


def test_without_secrets_the_command_runs_and_its_exit_code_is_kept(tmp_path):
    assert with_secrets(tmp_path / "none", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize("name", ["a-b", "1password", "pass word", "é"])
def test_a_secret_that_is_not_named_like_a_variable_is_named(tmp_path, name):
    (tmp_path / name).write_text("hush")
    ended = with_secrets(tmp_path, "true")
    assert (ended.returncode, "hush" in ended.stderr) == (64, False)
    assert f"{tmp_path}/{name}: a secret is named like a variable" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_secret_that_the_container_s_user_can_t_read_is_named():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        (folder := Path(name)).chmod(0o755)
        (folder / "dagster_pg_password").write_text("hush")
        (folder / "dagster_pg_password").chmod(0o600)
        ended = with_secrets(folder, "true", user=65534)
    assert (ended.returncode, "Set its mode to 644" in ended.stderr) == (66, True)


def made_secrets(folder):
    """Those that `make-secrets` makes, beside a copy of it."""
    folder.mkdir(exist_ok=True)
    (script := folder / "make-secrets").write_bytes((COMPOSE / "make-secrets").read_bytes())
    subprocess.run(["sh", script], check=True, capture_output=True, umask=0o077)
    return folder / "secrets"


def test_every_secret_is_drawn_once_for_its_owner_only(tmp_path):
    folder = made_secrets(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}  # each container is another user
    drawn = [text for text in texts.values() if text]
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in drawn)
    assert len(set(drawn)) == len(drawn) == 4
    assert texts == {path.name: path.read_text() for path in made_secrets(tmp_path).iterdir()}
    assert {f"secrets/{name}" for name in texts} == {secret["file"] for secret in compose_file()["secrets"].values()}


def test_dagster_is_configured_as_on_postgres_with_logs_in_the_bucket():
    found, postgres_only = (
        yaml.safe_load((COMPOSE.parent / kind / "dagster.yaml").read_text()) for kind in ("compose", "postgres")
    )
    assert found.pop("compute_logs")["class"] == "S3ComputeLogManager"
    assert found == postgres_only


def test_the_account_s_secrets_are_given_to_the_code_server_only():
    """Its runs are its children; the store's and the database's are shared."""
    services = compose_file()["services"]
    holders = [
        name
        for name, service in services.items()
        if any(secret.startswith("zendesk_oauth") for secret in service.get("secrets", ()))
    ]
    assert holders == ["code-server"]


def test_no_secret_is_written_into_the_file():
    for name, service in compose_file()["services"].items():
        secret = {variable for variable in service.get("environment", {}) if re.search("PASSWORD|SECRET|TOKEN|KEY", variable)}
        assert all(service["environment"][variable].startswith("/run/secrets/") for variable in secret), name


def test_only_the_web_server_is_published_and_only_to_this_host():
    published = {name: service["ports"] for name, service in compose_file()["services"].items() if "ports" in service}
    assert published == {"webserver": ["127.0.0.1:3000:3000"]}


def test_the_image_runs_as_a_user_of_its_own_and_starts_the_code_server():
    lines = (COMPOSE / "Dockerfile").read_text().splitlines()
    last = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines if re.match("[A-Z]+ ", line)}
    assert last["USER"] == "1000:1000"
    assert f"{last['WORKDIR']}/" == HOME
    assert [word.replace("0.0.0.0", "127.0.0.1") for word in json.loads(last["CMD"])] == CODE_SERVER  # noqa: S104
    (check,) = re.findall(r"^    CMD (\[.*\])$", "\n".join(lines), re.MULTILINE)
    assert json.loads(check) == CODE_SERVER_HEALTH


def test_what_is_mounted_or_copied_into_the_image_exists():
    described = compose_file()
    assert all((COMPOSE / config["file"]).is_file() for config in described["configs"].values())
    allowed = [line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((CHECKOUT / path).exists() for path in allowed)
    copied = re.findall(r"^COPY (?:--chmod=\S+ )?(?!--from)(.+) \S+$", (COMPOSE / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for names in copied for name in names.split()} <= set(allowed)


def test_the_demo_sets_what_the_code_server_reads():
    environment = compose_file()["services"]["code-server"]["environment"]
    for file in (COMPOSE / "demo.env", COMPOSE / "account.env.example"):
        set_there = set(example(file)) - {"COMPOSE_PROFILES"}
        assert set_there <= set(environment), file.name
    assert DEMO["COMPOSE_PROFILES"] in compose_file()["services"]["sandbox"]["profiles"]


def is_up(made, *services):
    return all(made.is_healthy(service) for service in services)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_fetches_a_day_of_the_sandbox_into_the_bucket(tmp_path):
    """By the commands, variables, secrets and health checks of compose.yaml; Postgres, store and ports are this machine's."""
    day = Day.containing(wall_clock()).plus(-2)
    with postgres(tmp_path) as database, object_server() as store:
        secrets = made_secrets(tmp_path / "made")
        (secrets / "dagster_pg_password").write_text(PASSWORD)
        here = {**DEMO, **database.env, "AWS_ENDPOINT_URL": store.url, "TICKET_EVENTS_TIMEZONE": "UTC", "ZENDESK_SUBDOMAIN": ""}
        here["TICKET_EVENTS_START_DATE"] = str(day.plus(-1))
        with containers(tmp_path / "services", secrets, here) as made:
            here["ZENDESK_SANDBOX_URL"] = f"http://127.0.0.1:{made.port(8743)}"
            assert [made.run("bucket").returncode for _ in range(2)] == [0, 0]  # it is there already, the second time
            for service in ("sandbox", "code-server"):
                made.start(service)
            wait_for(lambda: is_up(made, "sandbox", "code-server"), 400, "sandbox and code server are healthy")
            for service in ("webserver", "daemon"):
                made.start(service)
            wait_for(lambda: is_up(made, "webserver", "daemon"), 300, "web server and daemon are healthy")
            ui = Ui(made.port(3000))
            backfill = ui.launch_backfill(["ticket_events", "ticket_metric_events"], [str(day)])
            wait_for(lambda: ui.backfill_status(backfill) == "COMPLETED_SUCCESS", 240, "the backfill succeeds")
            assert made.environ("code-server")["ZENDESK_SANDBOX_TOKEN"] == (secrets / "zendesk_sandbox_token").read_text()
            assert not [name for name in made.environ("daemon") if name.startswith("ZENDESK_")]
            keys = {name: (secrets / f"aws_{name}").read_text() for name in ("access_key_id", "secret_access_key")}
            with store.exported(AWS_ACCESS_KEY_ID=keys["access_key_id"], AWS_SECRET_ACCESS_KEY=keys["secret_access_key"]):
                assert read_partition(open_store(f"s3://{BUCKET}/events/sandbox"), "ticket_events", day).num_rows > 100
        logs = client(store).list_objects_v2(Bucket=BUCKET, Prefix="dagster-logs/")["Contents"]
        assert any(Path(found["Key"]).suffix == ".err" for found in logs)
