"""What `forget` leaves of a raw audit, the slow and plain way: one row, one value at a time."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import unquote

MARKED = '{"forgotten":true}'
WORDS = ("status", "priority", "type")
IDS = ("group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id", "schedule_id")

Row = dict[str, Any]


class Oracle:
    def __init__(self, *, person: int, address: str, tickets: set[int], custom: str) -> None:
        self.person, self.address, self.tickets, self.custom = person, address, tickets, custom

    def concerned(self, row: Row) -> bool:
        if row["ticket_id"] in self.tickets or self.person in (row["updater_id"], row["via_reference_id"]):
            return True
        if row["via"] == "Merge" and row["via_reference_id"] in self.tickets:
            return True
        texts = [row["via"] or "", row["event_type"] or ""]
        for name in ("child_events", "system", "metadata", "extra"):
            texts += _leaves(row[name])
        merged = json.loads(row["merged_ticket_ids"] or "[]")
        return any(map(self._mentions, texts)) or bool(self.tickets & {one for one in merged if isinstance(one, int)})

    def blanked(self, row: Row) -> Row:
        if not self.concerned(row):
            return row
        kept = ("id", "ticket_id", "time", "created_at", "child_event_count", "comment_present", "comment_public")
        left = {name: value if name in kept else None for name, value in row.items()}
        left["via"], left["event_type"] = _phrase(row["via"]), _phrase(row["event_type"])
        if row["merged_ticket_ids"] is not None:
            left["merged_ticket_ids"] = row["merged_ticket_ids"]
        if row["child_events"] is not None:
            left["child_events"] = self._children(row["child_events"])
        return {**left, "extra": MARKED}

    def _mentions(self, text: str) -> bool:
        numbers = re.findall("[0-9]+", text)
        tickets = re.findall(
            """(?<![&:=/'"A-Za-z0-9_])#([0-9]+)(?![A-Za-z0-9_])""", re.sub("(?i)style=([\"']).*?\\1", " ", text)
        )
        tickets += re.findall(r"/(?:tickets|requests)/([0-9]+)(?!\w)", text)
        tickets += re.findall(r'"ticket_id": ?"?([0-9]+)', text)
        is_ticket = any(int(one) in self.tickets for one in tickets)
        return str(self.person) in numbers or is_ticket or self._has_address(text)

    def _has_address(self, text: str) -> bool:
        plain = html.unescape(unquote(text).replace("=3D", "="))
        address, bounce = re.escape(self.address), re.escape(self.address.replace("@", "="))
        signs = "._'-" if "%40" in text else "._'+-"  # in a form, + is a space
        before, after = rf"(?<![A-Za-z0-9])(?<![A-Za-z0-9][{signs}])", r"(?![A-Za-z0-9])"
        pattern = rf"{before}{address}{after}|(?<![A-Za-z0-9]){bounce}{after}[^\s<>]*@"
        return re.search(pattern, plain, re.IGNORECASE | re.ASCII) is not None

    def _children(self, text: str) -> str:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return "{}"
        if not isinstance(found, list):
            return "{}"
        return json.dumps([self._child(one) if isinstance(one, dict) else {} for one in found], separators=(",", ":"))

    def _child(self, child: Row) -> Row:
        left = {name: value for name, value in ((name, self._value(name, child[name])) for name in child) if value is not GONE}
        sets = child.get("event_type") in ("Create", "Change")
        silent = ("id", "created_at", "type", "via", "event_type", "added_tags", "removed_tags", "previous_value")
        lost = [name for name in child if name not in left and name not in silent]
        if isinstance(child.get("custom_ticket_fields"), dict):
            customs = child["custom_ticket_fields"]
            lost = [name for name in lost if name != "custom_ticket_fields"] + [one for one in customs if one != self.custom]
        changes = () if "tags" in child else ("added_tags", "removed_tags")
        lost += [name for name in changes if name in left and left[name] != child[name]]
        if sets and lost:
            left["forgotten"] = None
        fields = [name for name in left if name in (*WORDS, *IDS, "tags", "channel", "custom_ticket_fields")]
        fields += [name for name in left if name == f"custom_field:{self.custom}"]
        if "previous_value" in child and fields:
            value = child["previous_value"]
            for name in sorted(fields, key=list(left).index):
                value = self._previous(name, value)
            left["previous_value"] = value
        return left

    def _previous(self, name: str, value: Any) -> Any:
        if name == "custom_ticket_fields":
            is_by_number = isinstance(value, dict)
            return {n: self._custom(v) for n, v in value.items() if n == self.custom} if is_by_number else self._custom(value)
        if name == "type":
            return _word(value)
        found = self._value(name, value)
        return None if found is GONE else found

    def _value(self, name: str, value: Any) -> Any:  # noqa: C901  # one line a name is the plain way
        is_whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        if name in ("id", "previous_schedule_id", "new_schedule_id"):
            return value if value is None or is_whole else GONE
        if name in ("comment_present", "comment_public", "public"):
            return value if isinstance(value, bool) else GONE
        if name in ("event_type", "via"):
            return value if isinstance(value, str) and _phrase(value) else GONE
        if name == "type":
            return value if isinstance(value, str) and _phrase(value) else _word(value) if _is_text(value) else GONE
        if name in ("status", "priority"):
            return _word(value)
        if name in IDS:
            is_number = is_whole or (isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value))
            if value in (None, "") or (is_number and str(value) == str(self.person)):
                return None
            return value if is_number else "forgotten"
        if name == "channel":
            return _phrase(value) if isinstance(value, str) else None
        if name in ("added_tags", "removed_tags"):
            is_texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
            return self._tags(value) if is_texts else GONE
        if name == "tags":
            return self._tags(value)
        if name == "custom_ticket_fields" and isinstance(value, dict):
            return {n: self._custom(v) for n, v in value.items() if n == self.custom} or GONE
        if name == f"custom_field:{self.custom}":
            return self._custom(value)
        return None if name == "via_reference_id" else GONE

    def _tags(self, value: Any) -> Any:
        if isinstance(value, list):
            return [tag for tag in value if isinstance(tag, str) and self._is_tag(tag)]
        return value if isinstance(value, str) and all(map(self._is_tag, value.split())) else None

    def _is_tag(self, tag: str) -> bool:
        is_word = 0 < len(tag) < 256 and "@" not in tag and not any(letter.isspace() for letter in tag)
        return is_word and not _is_like_phone(tag)

    def _custom(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in value if isinstance(one, str) and self._custom(one) is not None]
        if isinstance(value, str) and re.fullmatch("[a-z][a-z0-9_:-]{0,99}", value):
            return None if _is_like_phone(value) else value
        return value if isinstance(value, bool) else None


GONE = object()


def _is_like_phone(text: str) -> bool:
    """A user's id is, too."""
    return any(len(digits) >= 7 for digits in re.findall("[0-9]+", text))


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _word(value: Any) -> Any:
    if not isinstance(value, str):
        return None
    return value if re.fullmatch("([a-z][a-z_-]{0,29})?", value) else "forgotten"


def _phrase(text: str | None) -> str | None:
    return text if text is not None and re.fullmatch(r"[A-Za-z][A-Za-z ()/_-]{0,39}", text) else None


def _tickets_linked(value: Row) -> list[Any]:
    """The tickets that an object names."""
    ticket, tickets = value.get("ticket_id"), value.get("ticket_ids")
    found = [ticket, *(tickets if isinstance(tickets, list) else ())]
    if value.get("via") == "Merge":
        found.append(value.get("via_reference_id"))
    return [one for one in found if isinstance(one, int | str)]


def _leaves(text: str | None) -> list[str]:
    """Every text, name and number of a JSON document; the whole text if it is none."""
    if text is None:
        return []
    try:
        pending, found = [json.loads(text)], []
    except (ValueError, RecursionError):
        return [text]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            found += value
            found += [f"/tickets/{one}" for one in _tickets_linked(value)]
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        else:
            found.append(value if isinstance(value, str) else json.dumps(value))
    return found
