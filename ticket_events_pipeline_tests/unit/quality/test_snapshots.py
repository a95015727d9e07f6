"""What the check of snapshots says about the newest asking."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.quality.snapshots import snapshots_answered
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.snapshots import STATUS_PATH, SnapshotStatus

DAYS = days_between(Day.parse("2026-03-01"), Day.parse("2026-03-03"))
ASKED_AT = 1_772_500_000


def found(root: Path, status: SnapshotStatus | None, *, is_asking: bool = True, since: int = ASKED_AT - 60) -> list[list[str]]:
    """By day, the findings."""
    if status is not None:
        (root / STATUS_PATH).parent.mkdir()
        (root / STATUS_PATH).write_text(json.dumps(asdict(status)))
    checked = list(snapshots_answered(FolderStore(root), DAYS, is_asking=is_asking, since=since))
    assert [day.day for day in checked] == DAYS
    return [[str(finding) for finding in day.findings] for day in checked]


def test_a_refusal_is_one_finding_of_the_last_day(tmp_path: Path) -> None:
    """It concerns all of them, and a list of 30 days would say it 30 times."""
    first, second, (last,) = found(tmp_path, SnapshotStatus(ASKED_AT, 1500, 100, "403 (no)"))
    assert first == second == []
    assert "1,400 tickets could not be asked for" in last
    assert "403 (no)" in last


@pytest.mark.parametrize(
    ("status", "is_asking", "since"),
    [
        (None, True, 0),
        (SnapshotStatus(ASKED_AT, 5, 5), True, 0),
        (SnapshotStatus(ASKED_AT, 5, 0, "403"), False, 0),
        (SnapshotStatus(ASKED_AT, 5, 0, "403"), True, ASKED_AT + 1),
    ],
    ids=["never asked", "answered", "turned off", "long ago"],
)
def test_otherwise_there_is_none(tmp_path: Path, status: SnapshotStatus | None, is_asking: bool, since: int) -> None:
    assert found(tmp_path, status, is_asking=is_asking, since=since) == [[], [], []]
