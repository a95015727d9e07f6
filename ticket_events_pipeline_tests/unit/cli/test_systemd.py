"""The systemd units start both programs in the folder, as nobody in particular, and restart them."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from ticket_events_pipeline.cli.systemd import DAEMON, WEBSERVER, unit_files
from ticket_events_pipeline.errors import UsageError

FOLDER, PROGRAMS = Path("/srv/ticket events"), Path("/opt/venv/bin")


def parsed(text):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(text)
    return unit


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (WEBSERVER, '"/opt/venv/bin/dagster-webserver" -h 127.0.0.1 -p 3000 -w workspace.yaml'),
        (DAEMON, '"/opt/venv/bin/dagster-daemon" run -w workspace.yaml'),
    ],
)
def test_a_unit_starts_its_program_by_its_whole_path_in_the_folder(name, command):
    service = parsed(unit_files(FOLDER, PROGRAMS, "tickets")[name])["Service"]
    assert service["ExecStart"] == command
    assert service["WorkingDirectory"] == "/srv/ticket events"
    assert service["Restart"] == "always"
    assert service["User"] == "tickets"


def test_without_a_user_the_line_is_left_to_fill_in():
    for text in unit_files(FOLDER, PROGRAMS, None).values():
        assert "User" not in parsed(text)["Service"]
        assert "# User=" in text


def test_no_unit_holds_a_variable_of_the_account():
    assert "ZENDESK" not in "".join(unit_files(FOLDER, PROGRAMS, "tickets").values())


@pytest.mark.parametrize("folder", ["/srv/50%", "/srv/$HOME", '/srv/"x"', "/srv/a\\b", "/srv/a\nExecStartPre=x", "relative"])
def test_a_path_that_systemd_would_read_otherwise_is_refused(folder):
    with pytest.raises(UsageError, match="give a folder"):
        unit_files(Path(folder), PROGRAMS, "tickets")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path):
    programs = tmp_path / "venv with a blank"
    programs.mkdir()
    for name in ("dagster-webserver", "dagster-daemon"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    paths = []
    for name, text in unit_files(tmp_path, programs, "daemon").items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, timeout=100, check=False)
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if str(tmp_path) in line]) == (0, [])
