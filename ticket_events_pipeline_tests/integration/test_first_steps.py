"""The README's first steps in their order, on one machine: the demo, then an account, both started by make."""

import os
import shutil
import socket
import subprocess
import time

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.checkout import CHECKOUT, DAGSTER_YAML
from ticket_events_pipeline_tests.support.commands import BIN, Place
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT

SHIPPED = DAGSTER_YAML.relative_to(CHECKOUT)

pytestmark = pytest.mark.slow


class Checkout(Place):
    """A folder with what make needs of the checkout, and the programs of this Python; `dg` is a stub: it would not end."""

    @property
    def home(self):
        return self.folder / ".dagster_home"

    def env(self, **more):
        variables = {name: value for name, value in super().env(**more).items() if name != "DAGSTER_HOME"}
        return {**variables, "PYTHONPATH": str(CHECKOUT)}

    def make(self, *words, **more):
        return self.run("make", *words, **more)


@pytest.fixture
def checkout(tmp_path):
    for file in ("Makefile", "pyproject.toml", "workspace.yaml", SHIPPED):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / file, tmp_path / file)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ticket-events"):
        (programs / name).symlink_to(BIN / name)
    # Prints what it was started with, and stays for as long as the test wants.
    (programs / "dg").write_text('#!/bin/sh\necho "home $DAGSTER_HOME: $*"\n[ -z "$STAYS" ] || { touch started; sleep 600; }\n')
    (programs / "dg").chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return Checkout(tmp_path)


def materialized(home):
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return {asset: instance.get_materialized_partitions(dg.AssetKey(asset)) for asset in (*ASSETS, REPORT)}


@pytest.mark.timeout(1200)
def test_after_the_demo_no_day_of_an_account_is_green_before_it_was_fetched(checkout):
    ended = checkout.make("demo")
    assert ended.code == 0, ended.output
    assert ended.output.rstrip().endswith("ZENDESK_SANDBOX=1 make dev")
    sandbox = checkout.home / "sandbox"
    assert {len(days) for days in materialized(sandbox).values()} == {30}
    with SandboxServer(SimulatedAccount(seed=7), clock=wall_clock) as server:
        account = {"ZENDESK_BASE_URL": server.base_url, "ZENDESK_OAUTH_TOKEN": "sandbox"}
        ended = checkout.make("dev", "PORT=0", **account)
        assert f"home {checkout.home}: dev" in ended.output
        assert set(map(len, materialized(checkout.home).values())) == {0}, "a missing-only backfill offers every day"
        yesterday = str(Day.containing(wall_clock()).plus(-1))
        home = {**account, "DAGSTER_HOME": str(checkout.home)}
        command = ("-m", "dagster", "asset", "materialize", "-m", "ticket_events_pipeline.definitions", "--select")
        fetch = (str(BIN / "python"), *command, "ticket_metric_events", "--partition", yesterday)
        wrong = subprocess.run(
            fetch, cwd=checkout.folder, env={**checkout.env(**account), "DAGSTER_HOME": str(sandbox)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert wrong.returncode != 0
        assert f"DAGSTER_HOME {sandbox} shows the days of account sandbox, files below" in wrong.stdout + wrong.stderr
        right = subprocess.run(fetch, cwd=checkout.folder, env={**checkout.env(), **home}, capture_output=True, check=False)
        assert right.returncode == 0, right.stderr.decode()[-2000:]
    assert materialized(checkout.home)["ticket_metric_events"] == {yesterday}
    assert {len(days) for days in materialized(sandbox).values()} == {30}


@pytest.mark.parametrize(
    ("variables", "dotenv", "home"),
    [
        ({}, None, ""),
        ({"ZENDESK_SANDBOX": "1"}, None, "/sandbox"),
        ({"ZENDESK_SANDBOX": "0"}, None, ""),
        ({}, "# ZENDESK_SANDBOX=0\nZENDESK_SANDBOX=1\n", "/sandbox"),
        ({}, "export ZENDESK_SANDBOX='true'  # a trial\n", "/sandbox"),
        ({"ZENDESK_SANDBOX": "1"}, "ZENDESK_SANDBOX=\n", ""),
    ],
)
def test_make_dev_uses_the_sandboxs_home_only_for_the_sandbox(checkout, variables, dotenv, home):
    if dotenv is not None:
        (checkout.folder / ".env").write_text(dotenv)
    ended = checkout.make("dev", "PORT=0", **variables)
    assert f"home {checkout.home}{home}: dev --workspace workspace.yaml" in ended.output, ended.output


def test_make_never_overwrites_a_dagster_yaml(checkout):
    checkout.make("dev", "PORT=0")
    own = checkout.home / "dagster.yaml"
    assert own.read_text() == DAGSTER_YAML.read_text()
    own.write_text("telemetry: {enabled: false}\n")
    os.utime(checkout.folder / SHIPPED)
    ended = checkout.make("dev", "PORT=0")
    assert own.read_text() == "telemetry: {enabled: false}\n"
    assert f"note: {own} is kept; it differs from the shipped {SHIPPED}." in ended.output


def test_a_used_port_and_a_second_make_dev_are_told_in_one_line(checkout):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = checkout.make("dev", f"PORT={port}")
    assert ended.code != 0
    assert f"Port {port} is in use: by another make dev?" in ended.output
    assert "home " not in ended.output
    first = subprocess.Popen(
        ["make", "dev", "PORT=0"], cwd=checkout.folder, env=checkout.env(STAYS="1"), start_new_session=True
    )
    try:
        while not (checkout.folder / "started").exists():
            time.sleep(0.05)
        ended = checkout.make("dev", "PORT=0")
        assert ended.code != 0
        assert f"Another make dev is running with {checkout.home}." in ended.output
        assert "sandbox: dev" in checkout.make("dev", "PORT=0", ZENDESK_SANDBOX="1").output
    finally:
        os.killpg(first.pid, 9)
        first.wait()
