"""The house keeps its layers, and every module says what belongs in it."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import ticket_events_pipeline

PACKAGE = Path(ticket_events_pipeline.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_the_layers_hold(monkeypatch):
    monkeypatch.chdir(PACKAGE.parent)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is_for_and_an_init_holds_nothing_else(module):
    tree = ast.parse(module.read_text())
    assert ast.get_docstring(tree)
    if module.name == "__init__.py":
        assert len(tree.body) == 1


def test_the_wall_clock_is_read_in_one_place():
    readings = ("time.time(", "datetime.now(", "utcnow(", "date.today(")
    found = [path.name for path in MODULES if any(reading in path.read_text() for reading in readings)]
    assert found == ["day.py"]


def test_there_is_no_drawer_for_odds_and_ends():
    assert not {"utils", "util", "helpers", "common", "misc"} & {path.stem for path in PACKAGE.rglob("*")}
