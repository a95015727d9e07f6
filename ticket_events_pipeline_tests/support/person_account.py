"""An account in which a made-up person's id, address, name and texts stand in every field that can hold one."""

from __future__ import annotations

from typing import Any

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.rows import RecordedAccount

DAYS = days_between(Day.parse("2026-03-02"), Day.parse("2026-03-04"))
NOW = DAYS[-1].end + 7200

PERSON = 903_417_556_208
ADDRESS, NAME = "marlene.q@example.org", "Marlene Quittenbaum"
SECRET = "the zebrafinch sings at midnight"
NEEDLES = (str(PERSON), ADDRESS, "Quittenbaum", "zebrafinch", "203.0.113.77", "Kleinklecks")
"""What must not be found: in lower case, anywhere."""

AGENT, OTHER, OTHER_TICKET, GROUP = 700_000_000_001, 800_000_000_001, 72, 31
TICKET, EARLIER_TICKET = 71, 70
"""Both are the person's; the Create of the second one is from before the stored days."""

CUSTOM, FREE_TEXT = 5550001, 5550002
SENDER = {"channel": "email", "source": {"from": {"address": "Marlene.Q@Example.org", "name": NAME}, "to": {"name": "Desk"}}}
SYSTEM = {"client": "Mozilla", "ip_address": "203.0.113.77", "location": "Kleinklecks, ZZ", "latitude": 1.5, "longitude": 2.5}

Json = dict[str, Any]


def _comment(number: int, author: int, **more: Any) -> Json:
    body = {"body": SECRET, "html_body": f"<p>{SECRET}</p>", "plain_body": SECRET}
    files = [{"file_name": f"{NAME}.pdf", "content_url": f"https://acme.example.com/{NAME}"}]
    return {
        "id": number,
        "event_type": "Comment",
        "type": "Comment",
        "via": SENDER,
        "author_id": author,
        "public": True,
        **body,
        "attachments": files,
        "audit_id": number - 1,
        "created_at": "2026-03-02T08:00:00Z",
        **more,
    }


def _child(number: int, kind: str, via: Any = "Mail", **fields: Any) -> Json:
    return {"id": number, "via": via, "via_reference_id": None, **fields, "event_type": kind}


def _created(first: int) -> list[Json]:
    fields: list[Json] = [
        {"subject": f"{NAME} has a question"},
        {"description": SECRET},
        {"requester_id": PERSON},
        {"submitter_id": PERSON},
        {"collaborator_ids": [PERSON, OTHER]},
        {"requester": {"email": ADDRESS, "name": NAME, "phone": SECRET}},
        {"recipient": ADDRESS},
        {"status": "new"},
        {"priority": "high"},
        {"type": "question"},
        {"group_id": GROUP},
        {"assignee_id": AGENT},
        {"tags": ["vip", "billing", ADDRESS, f"user_{PERSON}"]},
        {"custom_ticket_fields": {str(CUSTOM): "refund", str(FREE_TEXT): SECRET}},
        {"a_field_of_the_future": {"owner": {"id": PERSON, "note": SECRET}}},
        {NAME: SECRET},
    ]
    return [_child(first + place, "Create", **field) for place, field in enumerate(fields)]


def _audit(number: int, ticket: int, day: Day, hour: float, updater: int, children: list[Any], **more: Any) -> Json:
    return {
        "id": number,
        "ticket_id": ticket,
        "timestamp": day.start + int(hour * 3600),
        "updater_id": updater,
        "via": "Mail",
        "via_reference_id": None,
        "system": {},
        "metadata": {},
        "merged_ticket_ids": [],
        "event_type": "Audit",
        "child_events": children,
        **more,
    }


def person_audits() -> list[Json]:
    """Every audit that must be blanked."""
    first, second, third = DAYS
    status = _child(2101, "Change", status="open", previous_value="new")
    closed = _child(2401, "Change", status="solved", previous_value="open")
    free = _child(2402, "Change", custom_ticket_fields={str(FREE_TEXT): SECRET}, previous_value={str(FREE_TEXT): NAME})
    dropped = _child(2403, "Change", tags=["vip"], added_tags=[], removed_tags=[ADDRESS], previous_value=["vip", ADDRESS])
    merged = "Request #71 was merged. Its last comment: see you"
    return [
        _audit(1000, TICKET, first, 8, PERSON, [*_created(1001), _comment(1090, PERSON)], via=SENDER, system=SYSTEM),
        _audit(2100, TICKET, first, 9, AGENT, [status, _comment(2102, AGENT, via="Web form")], metadata={"custom": SECRET}),
        _audit(2200, TICKET, second, 9, AGENT, [_child(2201, "Notification", recipients=[PERSON], subject=NAME)]),
        _audit(2300, TICKET, second, 10, PERSON, [{**_comment(2301, PERSON), "from_the_future": {"who": NAME}}], actor=SYSTEM),
        _audit(2400, TICKET, third, 9, AGENT, [closed, free, dropped], system={"note": SECRET}),
        # The Create was never stored: the person acted in it.
        _audit(3000, EARLIER_TICKET, second, 11, PERSON, [_comment(3001, PERSON)], system=SYSTEM),
        _audit(3100, EARLIER_TICKET, third, 11, AGENT, [_comment(3101, AGENT, via="Web form")]),
        # In tickets of others: copied in, written to, quoted, merged.
        _audit(4000, OTHER_TICKET, first, 12, OTHER, [_child(4001, "Change", collaborator_ids=[PERSON], note=SECRET)]),
        _audit(
            4100, OTHER_TICKET, second, 12, OTHER, [_comment(4101, OTHER, via="Mail", body=f"<{ADDRESS}>\nwrote: {SECRET}")]
        ),
        _audit(4200, OTHER_TICKET, second, 13, AGENT, [_child(4201, "Comment", body=f"{merged}, {SECRET}", public=False)]),
        _audit(4300, OTHER_TICKET, third, 13, AGENT, [_child(4301, "Change", priority="low")], merged_ticket_ids=[TICKET]),
    ]


def other_audits() -> list[Json]:
    """Audits that must stay as they are."""
    first, second, _ = DAYS
    created = {"subject": "A printer", "requester_id": OTHER, "status": "new", "group_id": GROUP, "tags": ["vip", "printer"]}
    children = [_child(5001 + place, "Create", **{name: value}) for place, (name, value) in enumerate(created.items())]
    return [
        _audit(5000, OTHER_TICKET, first, 7, OTHER, children, system={"ip_address": "198.51.100.9"}),
        _audit(5100, OTHER_TICKET, second, 7, AGENT, [_comment(5101, AGENT, via="Web form", body="a\u00fcto", attachments=[])])
        | {"child_events": [{**_child(5101, "Comment", body="Call us", public=True), "author_id": AGENT}]},
        _audit(5200, 73, second, 8, AGENT, [_child(5201, "Change", assignee_id=AGENT, previous_value=None)]),
    ]


def metric_events() -> list[Json]:
    """Clocks of the person's ticket, met and late, and of another one; one event says too much."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard", "description": "First answers"}}
    rows = []
    for ticket, first in ((TICKET, 100), (EARLIER_TICKET, 200), (OTHER_TICKET, 300)):
        for place, (metric, breaks) in enumerate({"reply_time": False, "resolution_time": True}.items()):
            base = {"ticket_id": ticket, "metric": metric, "instance_id": 1}
            at = {"apply_sla": (0, 8), "activate": (0, 8), "breach": (0, 9), "fulfill": (0, 8.5)}
            for number, (kind, (day, hour)) in enumerate(at.items()):
                if kind == ("fulfill" if breaks else "breach"):
                    continue
                time = DAYS[day].start + int(hour * 3600)
                row = {**base, "id": first + 10 * place + number, "type": kind, "time": _iso(time)}
                rows.append({**row, **({"sla": sla} if kind == "apply_sla" else {})})
    rows[0] = {**rows[0], "deleted": 0, "changed_by": {"id": PERSON, "email": ADDRESS, "name": NAME}}
    return rows


def rejected_rows() -> list[Json]:
    """Rows without a time or an id: two are the person's."""
    return [
        {"id": 9001, "ticket_id": TICKET, "timestamp": "soon", "child_events": [{"body": SECRET}]},
        {"ticket_id": 99, "timestamp": DAYS[1].start + 60, "child_events": [{"author_id": PERSON, "body": SECRET}]},
        {"ticket_id": 99, "timestamp": DAYS[1].start + 61, "child_events": [], "note": "somebody else's"},
    ]


def person_account() -> RecordedAccount:
    """The account behind a server."""
    audits = sorted([*person_audits(), *other_audits()], key=lambda row: row["timestamp"])
    lost, *others = rejected_rows()
    account = RecordedAccount(
        {"ticket_events": [*audits[:3], lost, *others, *audits[3:]], "ticket_metric_events": metric_events()}
    )
    account.current_tickets = {ticket: _current(ticket) for ticket in (TICKET, EARLIER_TICKET, OTHER_TICKET)}
    account.listed = {"users": [{"id": AGENT, "name": "Ann", "role": "agent"}]}
    return account


def _current(ticket: int) -> Json:
    custom = [{"id": CUSTOM, "value": "refund"}, {"id": FREE_TEXT, "value": SECRET if ticket != OTHER_TICKET else "printer"}]
    tags = ["vip", ADDRESS] if ticket != OTHER_TICKET else ["vip"]
    return {"id": ticket, "status": "open", "brand_id": 5, "tags": tags, "custom_fields": custom, "via": {"channel": "email"}}


def _iso(time: int) -> str:
    day = Day.containing(time)
    seconds = time - day.start
    return f"{day}T{seconds // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}Z"
