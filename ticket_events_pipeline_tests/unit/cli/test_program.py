"""A printed command can be typed where it was printed."""

import sys
from pathlib import Path

import pytest

from ticket_events_pipeline.cli.program import program


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A program in an environment of its own, which the shell doesn't search."""
    path = tmp_path / "project/.venv/bin/ticket-events"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("folder", "searched", "typed"),
    [
        ("project", "", ".venv/bin/ticket-events"),
        ("project", "project/.venv/bin", "ticket-events"),
        ("elsewhere", "", "{}/project/.venv/bin/ticket-events"),
    ],
)
def test_the_program_is_named_as_it_can_be_typed(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch, folder: str, searched: str, typed: str
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    monkeypatch.setenv("PATH", str(tmp_path / searched) if searched else "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(installed)])
    assert program() == typed.format(tmp_path)


def test_under_another_name_the_plain_one_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test or a module that runs the command has no path to type."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    assert program() == "ticket-events"
