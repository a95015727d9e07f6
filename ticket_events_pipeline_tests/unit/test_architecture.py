"""The package keeps its layers, and every module states its purpose."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import ticket_events_pipeline

PACKAGE = Path(ticket_events_pipeline.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

EVERYWHERE = {"numpy", "pyarrow"}
"""Libraries that any module may import: they hold the rows."""

OWN_IMPORTS = {
    "sandbox": {"day", "sandbox"},
    "sla/rules": {"day", "decoding.row_times", "sla.rules", "tables"},
}
"""The only parts of this package that the modules of a folder may import."""


def imported_names(module: Path) -> Iterator[str]:
    """The modules that `module` imports anywhere, except those for type checking only."""
    tree = ast.parse(module.read_text())
    unseen = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_layers_hold(monkeypatch):
    monkeypatch.chdir(PACKAGE.parent)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_states_its_purpose_and_an_init_has_only_a_docstring(module):
    tree = ast.parse(module.read_text())
    assert ast.get_docstring(tree)
    if module.name == "__init__.py":
        assert len(tree.body) == 1


def test_the_wall_clock_is_read_in_one_place():
    readings = ("time.time(", "datetime.now(", "utcnow(", "date.today(")
    found = [path.name for path in MODULES if any(reading in path.read_text() for reading in readings)]
    assert found == ["day.py"]


def test_there_is_no_module_for_miscellaneous_code():
    assert not {"utils", "util", "helpers", "common", "misc"} & {path.stem for path in PACKAGE.rglob("*")}


def test_every_library_has_an_import_contract():
    """A new library needs a decision: a contract in pyproject.toml, or EVERYWHERE."""
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    protected = {name for contract in contracts for name in contract.get("protected_modules", [])}
    imported = {name.partition(".")[0] for module in MODULES for name in imported_names(module)}
    assert imported - sys.stdlib_module_names - {PACKAGE.name} == protected | EVERYWHERE


@pytest.mark.parametrize("folder", OWN_IMPORTS)
def test_an_independent_part_imports_no_other_part_of_the_package(folder):
    own = [
        name.removeprefix(f"{PACKAGE.name}.")
        for module in (PACKAGE / folder).rglob("*.py")
        for name in imported_names(module)
        if name.startswith(f"{PACKAGE.name}.")
    ]
    stray = [name for name in own if not any(f"{name}.".startswith(f"{allowed}.") for allowed in OWN_IMPORTS[folder])]
    assert own
    assert stray == []


def test_a_stream_is_named_only_in_its_table_and_in_one_list():
    """Other modules use its properties; the sandbox simulates an account, so it may name the streams."""
    named = re.compile(r"\b(ticket_events|ticket_metric_events)\b(?![/:])")  # `ticket_events/…` is how the tags of runs begin
    found = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if module.relative_to(PACKAGE).parts[0] not in ("tables", "sandbox")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and named.search(node.value)
        if not is_docstring(node.value, module)
    }
    assert found == set()


def is_docstring(text: str, module: Path) -> bool:
    """Whether the text is a statement of its own, such as a docstring."""
    statements = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Expr)]
    return any(isinstance(node.value, ast.Constant) and node.value.value == text for node in statements)
