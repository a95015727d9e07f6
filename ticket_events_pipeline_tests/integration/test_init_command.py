"""`ticket-events init` writes a folder that Dagster starts in: whole, private, and without touching what is there."""

import os
import pty
import re
import select
import shlex
import stat
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from ticket_events_pipeline_tests.support.checkout import CHECKOUT, DAGSTER_YAML
from ticket_events_pipeline_tests.support.commands import BIN, Ended

SECRET = "it's#1:${HOME},$x,\\,\\"
ACCOUNT = ("--subdomain", "Acme", "--client-id", "pipeline")
MAIN = "from ticket_events_pipeline.cli.main import main; main()"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="systemd's units are written on Linux only")


def environment(tmp_path, **variables):
    machine = {"PATH": os.defpath, "HOME": str(tmp_path), "LANG": "C.UTF-8", "TZ": "Europe/Berlin", "PYTHONPATH": str(CHECKOUT)}
    return {**machine, **variables}


def init(tmp_path, *arguments, answers="", **variables):
    """The command in an empty working folder, without a terminal."""
    ended = subprocess.run(
        [BIN / "ticket-events", "init", *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, **variables),
        input=answers,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout + ended.stderr)


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret.txt"
    path.write_text(f"{SECRET}\n")
    return str(path)


def test_options_and_a_secret_from_a_file_write_the_whole_folder(tmp_path, secret_file):
    ended = init(tmp_path, "deployment", *ACCOUNT, "--client-secret-file", secret_file, "--start-date", "2026-09-01")
    assert ended.code == 0, ended.output
    folder = tmp_path / "deployment"
    assert dotenv_values(folder / ".env") == {
        "ZENDESK_SUBDOMAIN": "Acme",
        "ZENDESK_OAUTH_CLIENT_ID": "pipeline",
        "ZENDESK_OAUTH_CLIENT_SECRET": SECRET,
        "TICKET_EVENTS_ROOT": str(folder / "data"),
        "TICKET_EVENTS_START_DATE": "2026-09-01",
        "TICKET_EVENTS_TIMEZONE": "Europe/Berlin",
        "DAGSTER_HOME": str(folder / ".dagster_home"),
    }
    assert (folder / ".dagster_home" / "dagster.yaml").read_text() == DAGSTER_YAML.read_text()
    assert (folder / "workspace.yaml").read_text() == (CHECKOUT / "workspace.yaml").read_text()
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (".", ".env", ".dagster_home")}
    assert modes == {".": 0o700, ".env": 0o600, ".dagster_home": 0o700}
    assert SECRET not in ended.output


@linux_only
def test_the_units_start_this_installation_in_the_folder(tmp_path):
    assert init(tmp_path, "--sandbox").code == 0
    for name in ("webserver", "daemon"):
        unit = (tmp_path / "systemd" / f"ticket-events-{name}.service").read_text()
        assert f"WorkingDirectory={tmp_path}\n" in unit
        assert f'ExecStart="{BIN}/dagster-{name}" ' in unit


def test_every_printed_command_exists_where_it_is_printed(tmp_path, secret_file):
    ended = init(tmp_path, "a folder", *ACCOUNT, "--client-secret-file", secret_file)
    lines = [shlex.split(line) for line in re.findall(r"^  (.+)$", ended.output, re.MULTILINE)]
    assert lines[0] == ["cd", str(tmp_path / "a folder")]
    assert lines[2] == [f"DAGSTER_HOME={tmp_path}/a folder/.dagster_home", f"{BIN}/dg", "dev", "-w", "workspace.yaml"]
    typed = [line for line in lines if line[0].endswith("ticket-events")]
    assert [line[1] for line in typed] == ["doctor", "backfill", "report", "status"]
    assert all(Path(line[0]).exists() for line in typed)


def test_the_commands_of_that_folder_use_its_account_and_home(tmp_path):
    assert init(tmp_path, "--sandbox").code == 0
    doctor = subprocess.run(
        [BIN / "ticket-events", "doctor"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"{tmp_path / 'data' / 'sandbox'} can be written" in doctor.stdout, doctor.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--subdomain", "acme.zendesk.com"], "ZENDESK_SUBDOMAIN"),
        (["--subdomain", "acme", "--start-date", "2026-13-01"], "TICKET_EVENTS_START_DATE"),
        (["--subdomain", "acme", "--timezone", "Berlin"], "TICKET_EVENTS_TIMEZONE"),
        (["--subdomain", "acme", "--root", "ftp://host/x"], "TICKET_EVENTS_ROOT"),
        (["--subdomain", "acme", "--client-id", "in valid"], "ZENDESK_OAUTH_CLIENT_ID"),
    ],
)
def test_a_wrong_answer_is_named_and_nothing_is_written(tmp_path, arguments, named):
    given = arguments if "--client-id" in arguments else [*arguments, "--client-id", "pipeline"]
    ended = init(tmp_path, "deployment", *given, "--client-secret-file", "-", answers="hush\n")
    assert ended.code == 1
    assert f"{named}: " in ended.output
    assert "Traceback" not in ended.output
    assert "hush" not in ended.output
    assert not (tmp_path / "deployment").exists()


def test_without_a_terminal_all_that_is_missing_is_named_at_once(tmp_path):
    ended = init(tmp_path, "deployment")
    assert ended.code == 2
    assert "Give --subdomain, --client-id, --client-secret-file" in ended.output
    assert not (tmp_path / "deployment").exists()


def test_exported_variables_are_answers_and_the_exported_home_of_another_folder_is_none(tmp_path):
    exported = {
        "ZENDESK_BASE_URL": "http://127.0.0.1:9",
        "ZENDESK_OAUTH_TOKEN": "token",
        "TICKET_EVENTS_RESTATE_DAYS": "5",
        "DAGSTER_HOME": "/elsewhere",
    }
    assert init(tmp_path, "deployment", **exported).code == 0
    written = dotenv_values(tmp_path / "deployment" / ".env")
    assert {name: written[name] for name in exported} == {
        **exported,
        "DAGSTER_HOME": str(tmp_path / "deployment" / ".dagster_home"),
    }


def test_a_new_folder_does_not_get_the_account_of_the_working_folder(tmp_path):
    (tmp_path / ".env").write_text("ZENDESK_SUBDOMAIN=other\nZENDESK_OAUTH_TOKEN=token\n")
    assert init(tmp_path, "deployment").code == 2


def test_a_second_time_changes_nothing_and_adds_what_is_missing(tmp_path):
    assert init(tmp_path, "--sandbox").code == 0
    (tmp_path / "workspace.yaml").unlink()
    before = (tmp_path / ".env").read_bytes()
    ended = init(tmp_path)
    assert ended.code == 0
    assert f"written    {tmp_path / 'workspace.yaml'}" in ended.output
    assert (tmp_path / ".env").read_bytes() == before


def test_a_file_of_ones_own_is_left_and_named(tmp_path):
    assert init(tmp_path, "--sandbox").code == 0
    own = tmp_path / ".dagster_home" / "sandbox" / "dagster.yaml"
    own.write_text("storage: {}\n")
    ended = init(tmp_path)
    assert ended.code == 1
    assert f"left       {own}: " in ended.output
    assert own.read_text() == "storage: {}\n"


def test_options_for_an_env_that_is_there_are_refused(tmp_path):
    (tmp_path / ".env").write_text("ZENDESK_SANDBOX=1\n")
    ended = init(tmp_path, "--timezone", "UTC")
    assert ended.code == 1
    assert "edit that file" in ended.output
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_an_env_without_a_home_is_kept_and_the_line_to_add_is_printed(tmp_path):
    (tmp_path / ".env").write_text("ZENDESK_SUBDOMAIN=acme\n")
    ended = init(tmp_path)
    assert f"add the line DAGSTER_HOME={tmp_path}/.dagster_home to it." in ended.output
    assert (tmp_path / ".env").read_text() == "ZENDESK_SUBDOMAIN=acme\n"


def test_a_folder_that_cannot_be_made_is_an_error_without_a_traceback(tmp_path):
    (tmp_path / "file").write_text("")
    ended = init(tmp_path, "file/deployment", "--sandbox")
    assert ended.code == 1
    assert ended.output == f"{tmp_path}/file/deployment: can't make this folder ({tmp_path}/file: File exists).\n"


def answer(terminal, question, text):
    """Wait for the question on the terminal, and type the answer; what was shown meanwhile."""
    shown, deadline = "", time.monotonic() + 60
    while question not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536).decode()
    assert question in shown
    os.write(terminal, f"{text}\n".encode())
    return shown


def test_at_a_terminal_it_asks_again_after_a_wrong_answer_and_never_shows_the_secret(tmp_path):
    terminal, other_end = pty.openpty()
    child = subprocess.Popen(
        [BIN / "ticket-events", "init", "deployment"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    shown = answer(terminal, "Subdomain", "https://acme.zendesk.com")
    shown += answer(terminal, "Error: ", "acme")
    shown += answer(terminal, "identifier", "pipeline")
    shown += answer(terminal, "secret", "hush-7c1e")
    shown += answer(terminal, "[Europe/Berlin]", "")
    shown += answer(terminal, "First day [", "2026-09-01")
    with open(terminal, "rb", buffering=0, closefd=False) as rest:
        try:
            while block := rest.read(65536):
                shown += block.decode()
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(terminal)
    assert child.wait(timeout=60) == 0, shown
    written = dotenv_values(tmp_path / "deployment" / ".env")
    assert written["ZENDESK_OAUTH_CLIENT_SECRET"] == "hush-7c1e"
    assert (written["TICKET_EVENTS_TIMEZONE"], written["TICKET_EVENTS_START_DATE"]) == ("Europe/Berlin", "2026-09-01")
    assert "hush-7c1e" not in shown


@pytest.mark.slow
@pytest.mark.skipif(int(version("setuptools").partition(".")[0]) < 77, reason="pip install 'setuptools>=77' builds the wheel")
def test_the_wheel_alone_writes_the_same_folder(tmp_path):
    """Built without an index, and unpacked where no checkout is."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", wheels, "."]
    source = tmp_path / "source"
    names = ["pyproject.toml", "README.md", "LICENSE", "ticket_events_pipeline"]
    source.mkdir()
    subprocess.run(["cp", "-r", *(CHECKOUT / name for name in names), source], check=True)
    subprocess.run(build, cwd=source, check=True, timeout=300)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as unpacked:
        unpacked.extractall(site)
    variables = environment(tmp_path, PYTHONPATH=str(site))
    command = [sys.executable, "-c", MAIN, "init", "deployment", "--sandbox"]
    subprocess.run(command, cwd=tmp_path, env=variables, check=True, timeout=120)
    home = tmp_path / "deployment" / ".dagster_home" / "sandbox"
    assert yaml.safe_load((home / "dagster.yaml").read_text())["run_retries"]["enabled"] is True
    assert dotenv_values(tmp_path / "deployment" / ".env")["ZENDESK_SANDBOX"] == "1"
