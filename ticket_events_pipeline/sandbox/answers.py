"""HTTP answers as values, and Zendesk's error answers in the shapes that real accounts have sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, body, and headers beyond those that every answer has."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(status: int, body: object, *, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer with `body` as JSON."""
    return Answer(status, json.dumps(body).encode(), headers=headers or {})


NOT_AUTHENTICATED = json_answer(401, {"error": "Couldn't authenticate you"})

FORBIDDEN = json_answer(
    403,
    {
        "error": {
            "title": "Forbidden",
            "message": "You do not have access to this page. "
            "Please contact the account owner of this help desk for further help.",
        }
    },
)

NOT_FOUND = json_answer(404, {"error": "RecordNotFound", "description": "Not found"})

TOO_RECENT = json_answer(
    422, {"error": "InvalidValue", "description": "Too recent start_time. Use a start_time older than 60 seconds"}
)


def over_quota(*, retry_after_seconds: int) -> Answer:
    """429, as the incremental exports say it."""
    description = "Number of allowed incremental export API requests per minute exceeded"
    body = {"error": "APIRateLimitExceeded", "description": description}
    return json_answer(429, body, headers={"Retry-After": str(retry_after_seconds)})


def over_account_limit(*, retry_after_seconds: int) -> Answer:
    """429, as everything but the exports says it."""
    body = {"error": "APIRateLimitExceeded", "description": "Number of allowed API requests per minute exceeded"}
    return json_answer(429, body, headers={"Retry-After": str(retry_after_seconds)})


def invalid_parameter(name: str, problem: str) -> Answer:
    """400: the named query parameter is missing or can't be read."""
    return json_answer(
        400, {"errors": [{"code": "InvalidParameter", "title": f"Invalid {name}", "detail": f"{name} {problem}"}]}
    )
