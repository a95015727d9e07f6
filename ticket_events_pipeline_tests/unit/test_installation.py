"""How programs of this installation are typed, and what an extra installs."""

import shlex
import sys
import sysconfig
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ticket_events_pipeline.installation import dagster_home_hint, pip_install, program
from ticket_events_pipeline_tests.support.checkout import CHECKOUT

SCRIPTS = sysconfig.get_path("scripts")
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def test_a_program_that_the_shell_finds_is_typed_by_its_name(monkeypatch):
    monkeypatch.setenv("PATH", SCRIPTS)
    assert program("dg") == "dg"


def test_elsewhere_it_is_typed_by_its_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    assert program("dg") == shlex.quote(f"{SCRIPTS}/dg")


def test_the_program_of_another_installation_is_not_taken_for_this_one(monkeypatch, tmp_path):
    other = tmp_path / "dg"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert program("dg") == shlex.quote(f"{SCRIPTS}/dg")


def test_from_a_folder_above_the_path_is_relative(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    assert program("dg", folder=Path(SCRIPTS).parent) == f"{Path(SCRIPTS).name}/dg"


@pytest.mark.parametrize("extra", ["s3", "gcs", "azure"])
def test_an_extra_is_installed_by_its_requirements_and_not_by_the_name_of_the_package(extra, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    python, *words = shlex.split(pip_install(extra))
    assert (python, words[:3]) == (sys.executable, ["-m", "pip", "install"])
    wanted = PROJECT["project"]["optional-dependencies"][extra]
    assert {Requirement(word) for word in words[3:]} == {Requirement(line) for line in wanted}


def test_every_file_of_the_package_is_in_the_wheel():
    package = CHECKOUT / "ticket_events_pipeline"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["ticket_events_pipeline"]
    data = [path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    left_out = [path for path in data if not any(fnmatch(str(path.relative_to(package)), pattern) for pattern in patterns)]
    assert data
    assert left_out == []


def test_the_homes_of_make_and_init_are_named_where_they_are(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert dagster_home_hint() == ""
    home = tmp_path / ".dagster_home" / "sandbox"
    home.mkdir(parents=True)
    (home / "dagster.yaml").touch()
    assert dagster_home_hint() == f" (in this folder it may be {home})"
