"""The commands that tests fork from one process: each begins and ends like a process of its own."""

import json
import os
from pathlib import Path

import pytest

from ticket_events_pipeline_tests.support.command_server import command_server

SHOW = """
import datetime, json, os, sys, time
found = {"env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv, "pid": os.getpid(), "input": sys.stdin.read()}
print(json.dumps({**found, "zone": time.tzname[0], "hour": datetime.datetime.fromtimestamp(0).hour}))
os.environ["LEFT_BEHIND"] = "1"
"""


def run(program: str, folder: Path, *arguments: str, **env: str) -> tuple[int, str]:
    return command_server().run(program, ["program", *arguments], cwd=folder, env=env)


def test_a_command_has_its_own_environment_folder_and_arguments_and_leaves_nothing_behind(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "TZ": "Asia/Kolkata", "LANG": "C.UTF-8"}
    shown = [json.loads(run(SHOW, tmp_path, "--now", **variables)[1]) for _ in range(2)]
    assert len({os.getpid(), *(each.pop("pid") for each in shown)}) == 3
    expected = {"env": variables, "cwd": str(tmp_path), "argv": ["program", "--now"], "input": "", "zone": "IST", "hour": 5}
    assert shown == [expected, expected]


@pytest.mark.parametrize(
    ("program", "code", "output"),
    [
        ("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", 3, "out\nerr\n"),
        ("import atexit; atexit.register(print, 'at the end')", 0, "at the end\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
    ],
)
def test_its_exit_code_and_outputs_are_those_of_a_process(tmp_path: Path, program: str, code: int, output: str) -> None:
    assert run(program, tmp_path) == (code, output)


def test_an_error_that_is_not_caught_is_shown_with_its_traceback(tmp_path: Path) -> None:
    code, output = run("raise ValueError('so')", tmp_path)
    assert (code, output.splitlines()[-1]) == (1, "ValueError: so")


def test_variables_that_only_a_new_interpreter_obeys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run("", tmp_path, PYTHONPATH="/elsewhere")


@pytest.mark.slow
def test_the_command_after_one_that_took_the_server_down_finds_a_new_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        run("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", tmp_path)
    assert run("print('here')", tmp_path) == (0, "here\n")
