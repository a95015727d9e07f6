"""The alert sensor's cursor: the state of each destination by its mark, as JSON.

A URL that takes the place of another one, as after that was revoked, takes over its state: nothing is posted twice, and what
waited still arrives. A further destination starts as new.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ticket_events_pipeline.alerts.state import GREATEST_NUMBER, DestinationState, Outage, Posted

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VERSION = 3

_MARK = re.compile(r"[0-9a-f]{8}", re.ASCII)
_UNKNOWN_MARK = ""

_V = TypeVar("_V", bound="DataclassInstance")


@dataclass(frozen=True)
class AlertState:
    """Everything that one tick leaves to the next.

    Attributes:
        by_mark: the state of each destination, in their order.
    """

    by_mark: Mapping[str, DestinationState]

    @classmethod
    def parse(cls, cursor: str | None, marks: Iterable[str]) -> Self:
        """The state of the destinations of these marks.

        One that the cursor doesn't know takes over the state of one that is gone, else it is new; all are where there is no
        cursor, or an unreadable one.
        """
        try:
            states = _states(json.loads(cursor or ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            states = {}
        wanted = list(marks)
        gone = [state.elsewhere() for mark, state in states.items() if mark not in wanted]
        new = [*gone, *(DestinationState(is_new=True) for _ in wanted)]
        return cls({mark: states[mark] if mark in states else new.pop(0) for mark in wanted})

    def to_cursor(self) -> str:
        """The inverse of `parse`."""
        destinations = {mark: _entry(state) for mark, state in self.by_mark.items()}
        return json.dumps({"version": VERSION, "destinations": destinations}, separators=(",", ":"))

    def has_posted(self, subject: str) -> bool:
        """Whether the subject was posted to every destination, at any level."""
        return all(state.has_posted(subject) for state in self.by_mark.values())


def _entry(state: DestinationState) -> dict[str, Any]:
    return {
        "posted": {subject: [item.level, item.at] for subject, item in state.posted.items()},
        "outage": None if state.outage is None else dataclasses.asdict(state.outage),
        "waiting": sorted(state.waiting),
        "missed": state.missed,
    }


def _states(read: dict[str, Any]) -> dict[str, DestinationState]:
    """The states of a cursor by mark; before version 3 there was one, whose mark is known only while it is in an outage.

    Raises:
        ValueError: a version that this program doesn't know, or a value out of range.
    """
    if read["version"] == VERSION:
        if not all(_MARK.fullmatch(mark) for mark in read["destinations"]):
            raise ValueError("no mark")
        return {mark: _state(entry, entry["posted"]) for mark, entry in read["destinations"].items()}
    posted = read[{1: "told", 2: "posted"}[read["version"]]]
    mark = _UNKNOWN_MARK if read["outage"] is None else read["outage"].pop("webhook_mark")
    return {_text(mark): _state(read, posted, version=read["version"])}


def _state(entry: dict[str, Any], posted: dict[str, list[int]], *, version: int = VERSION) -> DestinationState:
    outage = None if entry["outage"] is None else checked(Outage(**entry["outage"]))
    waiting, missed = _waiting(entry, version)
    items = {subject: checked(Posted(level, at)) for subject, (level, at) in posted.items()}
    return checked(DestinationState(items, outage, waiting=waiting, missed=missed))


def _waiting(entry: dict[str, Any], version: int) -> tuple[frozenset[str], int]:
    """The subjects that are pending, and how many more; version 1 also has their texts."""
    if version == 1:
        return frozenset(_text(item["subject"]) for item in entry["waiting"]), entry["counted"] + entry["given_up"]
    return frozenset(map(_text, entry.get("waiting", []))), entry.get("missed", 0)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def checked(made: _V) -> _V:
    """The value, if its numbers are in range and its texts are texts.

    Raises:
        ValueError: they aren't.
    """
    for item in dataclasses.fields(made):
        value = getattr(made, item.name)
        if item.type == "int" and not (type(value) is int and 0 <= value <= GREATEST_NUMBER):
            raise ValueError(f"{item.name} is out of range")
        if item.type == "str" and not isinstance(value, str):
            raise ValueError(f"{item.name} is no text")
    return made
