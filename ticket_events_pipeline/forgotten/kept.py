"""What is kept of a row that is blanked: an allow-list. Everything else of the row is gone.

Kept is what SLA tables and ticket tables are made from: numbers of events and tickets, times, and the tracked fields of a
ticket (status, priority, type, tags, and the ids of group, assignee, organization, brand, form and schedule). A text is kept
only where it is a word of Zendesk's or the account's own vocabulary, never free text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.forgotten.ledger import REQUESTER, Ledger
from ticket_events_pipeline.tables.ticket_metric_events import POLICY_DESCRIPTION, POLICY_FIELDS
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD

KEPT_COLUMNS = frozenset(
    {"id", "ticket_id", "time", "created_at", "child_event_count", "comment_present", "comment_public"},
)
"""Columns of an audit that stay as they are. `via`, `event_type`, `merged_ticket_ids`, `child_events` and `extra` are reduced;
all others become NULL. Of a metric event all columns stay, but `extra`."""

KEPT_FIELDS = ("status", "priority", "type")
KEPT_IDS = ("group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id", "schedule_id")
TAGS, CUSTOM_FIELDS = "tags", "custom_ticket_fields"
"""Fields of child events that are kept, and the tracked ones among the custom fields."""

FORGOTTEN = "forgotten"
"""In `extra`, true: the row was blanked. In a child event, null: fields that it set were blanked. As a value: a text was."""

_TAG_CHANGES = ("added_tags", "removed_tags")
_NUMBERS = ("id", "previous_schedule_id", "new_schedule_id")
_FLAGS = ("comment_present", "comment_public", "public")
_WORDS = ("event_type", "via")
_SETS_FIELDS = ("Create", "Change")
_DELETED = "deleted"
_NO_FIELDS = frozenset({"id", "created_at", "type", "via_reference_id", "previous_value", *_WORDS, *_TAG_CHANGES})

_VALUE_WORD = re.compile(r"[a-z][a-z_-]{0,29}|")
_PHRASE = re.compile(r"[A-Za-z][A-Za-z ()/_-]{0,39}")
_TAG = re.compile(r"[^\s@]{1,255}")
_KEYWORD = re.compile(r"[a-z][a-z0-9_:-]{0,99}")
"""What an option of a drop-down field is called; free text has capitals, blanks or punctuation."""
_ODD_FLAG = re.compile(r"[A-Za-z0-9]{1,8}")
_DIGITS = re.compile(r"[0-9]+")
_MAY_BE_PHONE = re.compile(r"[0-9]{7}")

_DESCRIPTIONS = frozenset(".".join((name, *POLICY_DESCRIPTION.split(".")[1:])) for name in POLICY_FIELDS)

Rule = Callable[[Any], Any]


class KeptValues:
    """The values that are kept, by what they are of; with `ledger`, no value that holds a forgotten id is."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._customs = {name.removeprefix(CUSTOM_FIELD) for name in ledger.custom_fields}

    def child_events(self, text: str) -> str:
        """The JSON list of an audit's child events, reduced; each keeps its place."""
        try:
            children = json.loads(text)
        except (RecursionError, ValueError):  # nested deeper, or with longer numbers, than any audit of Zendesk's
            return "{}"
        if not isinstance(children, list):
            return "{}"
        return compact_json([self._child(child) if isinstance(child, dict) else {} for child in children])

    def audit_extra(self, _: str | None) -> str:
        """The `extra` of a blanked audit."""
        return compact_json({FORGOTTEN: True})

    def metric_extra(self, text: str | None) -> str | None:
        """The `extra` of a metric event, reduced: descriptions of policies, and a `deleted` in an unusual spelling."""
        if text is None:
            return None
        try:
            fields = json.loads(text)
        except (RecursionError, ValueError):
            return self.audit_extra(None)
        kept = {name: value for name, value in fields.items() if self._is_kept_extra(name, value)}
        return text if len(kept) == len(fields) else compact_json(dict(sorted({**kept, FORGOTTEN: True}.items())))

    def phrase(self, value: Any) -> str | None:
        """A channel or kind of event, such as Web form."""
        return value if isinstance(value, str) and _PHRASE.fullmatch(value) else None

    def ticket_numbers(self, text: str | None) -> str | None:
        """A JSON list of ticket numbers."""
        try:
            found = json.loads(text or "null")
        except (RecursionError, ValueError):
            return None
        return compact_json([one for one in found if _is_int(one)]) if isinstance(found, list) else None

    def field_text(self, name: str, text: str | None) -> str | None:
        """A value of a tracked field as the ticket tables hold it; `name` is as in `ticket_field_changes`."""
        if text is None:
            return None
        value: Any = text
        if name == TAGS or text.startswith("["):
            try:
                value = json.loads(text)
            except (RecursionError, ValueError):
                value = text
        kept = self._rule(name)(value) if self._is_kept(name) else None
        return kept if kept is None or isinstance(kept, str) else compact_json(kept)

    def tags(self, tags: Any) -> Any:
        """A ticket's tags: words without blanks, none of them with an address, a forgotten id or a run of seven digits."""
        if isinstance(tags, list):
            return [tag for tag in tags if isinstance(tag, str) and self._is_tag(tag)]
        is_text = isinstance(tags, str) and all(self._is_tag(tag) for tag in tags.split())
        return tags if is_text else None

    def _child(self, child: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        is_dropped = False
        for name, value in child.items():
            if name == CUSTOM_FIELDS and isinstance(value, dict):
                customs = {number: self._custom(one) for number, one in value.items() if number in self._customs}
                kept |= {name: customs} if customs else {}
                is_dropped |= len(customs) < len(value)
            elif self._is_kept(name) and name != "type":
                kept[name] = self._rule(name)(value)
            elif name != "previous_value":
                kept |= self._known(name, value)
                is_dropped |= name not in kept and name not in _NO_FIELDS
                is_dropped |= name in _TAG_CHANGES and TAGS not in child and kept.get(name, value) != value
        if is_dropped and child.get("event_type") in _SETS_FIELDS:
            kept[FORGOTTEN] = None
        if "previous_value" in child and (fields := [name for name in kept if name == CUSTOM_FIELDS or self._is_kept(name)]):
            kept["previous_value"] = self._previous(fields, child["previous_value"])
        return kept

    def _known(self, name: str, value: Any) -> dict[str, Any]:
        """What a child event says besides a ticket's tracked fields, if it is kept; `type` may be either."""
        is_kept = {
            **dict.fromkeys(_NUMBERS, value is None or _is_int(value)),
            **dict.fromkeys(_FLAGS, isinstance(value, bool)),
            **dict.fromkeys((*_WORDS, "type"), self.phrase(value) is not None),
        }
        if is_kept.get(name):
            return {name: value}
        if name == "type" and (value is None or isinstance(value, str)):
            return {name: self._word(value)}
        if name == "via_reference_id":
            return {name: None}
        is_texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return {name: self.tags(value)} if name in _TAG_CHANGES and is_texts else {}

    def _previous(self, fields: list[str], value: Any) -> Any:
        for name in fields:
            if name != CUSTOM_FIELDS:
                value = self._rule(name)(value)
            elif isinstance(value, dict):
                value = {number: self._custom(one) for number, one in value.items() if number in self._customs}
            else:
                value = self._custom(value)
        return value

    def _is_kept(self, name: str) -> bool:
        is_custom = name.startswith(CUSTOM_FIELD) and name.removeprefix(CUSTOM_FIELD) in self._customs
        return name in KEPT_FIELDS or name in KEPT_IDS or name in (TAGS, "channel") or is_custom

    def _rule(self, name: str) -> Rule:
        if name in KEPT_IDS:
            return self._id
        if name == TAGS:
            return self.tags
        if name == "channel":
            return self.phrase
        return self._word if name in KEPT_FIELDS else self._custom

    def _word(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        return value if _VALUE_WORD.fullmatch(value) else FORGOTTEN

    def _id(self, value: Any) -> Any:
        if value is None or value == "":
            return None
        if not (_is_int(value) or (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20)):
            return FORGOTTEN  # null would say that it has none
        return None if self._ledger.holds(REQUESTER, value) else value

    def _custom(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in value if isinstance(one, str) and self._is_keyword(one)]
        return value if isinstance(value, bool) or (isinstance(value, str) and self._is_keyword(value)) else None

    def _is_keyword(self, text: str) -> bool:
        return _KEYWORD.fullmatch(text) is not None and not self._is_personal(text)

    def _is_tag(self, text: str) -> bool:
        return _TAG.fullmatch(text) is not None and not self._is_personal(text)

    def _is_personal(self, text: str) -> bool:
        return _MAY_BE_PHONE.search(text) is not None or any(
            self._ledger.holds(REQUESTER, digits) for digits in _DIGITS.findall(text)
        )

    def _is_kept_extra(self, name: str, value: Any) -> bool:
        if name == _DELETED:
            return isinstance(value, bool | int) or (isinstance(value, str) and _ODD_FLAG.fullmatch(value) is not None)
        return (name == FORGOTTEN and value is True) or (name in _DESCRIPTIONS and isinstance(value, str))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
