"""Headers and error bodies in every observed form are read or count as missing; none raises an error."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest

from ticket_events_pipeline.zendesk.answers import REASON_LENGTH, short_reason
from ticket_events_pipeline.zendesk.headers import QuotaHeader, quota_header, retry_after_seconds, server_time
from ticket_events_pipeline_tests.support.checkout import SAMPLES

T = 1_700_000_000


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({}, None),
        ({"x-rate-limit-remaining": "0", "ratelimit-remaining": "0", "ratelimit-reset": "9"}, None),
        ({"ZENDESK-RATELIMIT-INCREMENTAL-X": "Remaining = 4"}, QuotaHeader(4)),
        ({"zendesk-ratelimit-incremental-exports": "total=; remaining=-; resets=2"}, None),
        ({"zendesk-ratelimit-incremental-exports": "remaining=99999999999999999999"}, QuotaHeader(999999999)),
        (
            {
                "zendesk-ratelimit-incremental-exports": "total=10; remaining=9; resets=2",
                "zendesk-ratelimit-incremental-exports-cursor": "total=20; remaining=1; resets=3",
            },
            QuotaHeader(1, 20, 3),
        ),
    ],
)
def test_quota_headers(headers: dict[str, str], quota: QuotaHeader | None) -> None:
    """Any name of the incremental export quota counts, the emptiest of several; the account-wide limit does not."""
    assert quota_header(headers) == quota


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no message"),
        (b"  \n ", "no message"),
        (b"plain\n\ttext\x00\x1b[31m", "plain text [31m"),
        (b"<html><head><title>Bad &amp; gateway</title></head><body>long</body></html>", "Bad & gateway"),
        (b"<p>No <b>title</b><script>var x</script> here</p>", "No title here"),
        (b'{"error": {"title": "T", "message": "M"}}', "T: M"),
        (b'{"errors": [{"code": "C", "title": "T", "detail": "D"}]}', "C: T: D"),
        (b'{"errors": ["gone"], "error": "E"}', "gone: E"),
        (b'{"error": "E", "description": "D"}', "E: D"),
        (b'{"error": "invalid_client", "error_description": "D"}', "invalid_client: D"),
        (b'{"message": "M"}', "M"),
        (b'{"other": 1}', '{"other": 1}'),
        (b'{"error": "\\ud800x"}', "x"),
        (b'"just text"', '"just text"'),
    ],
)
def test_every_shape_of_error_body_gives_one_short_reason(body: bytes, reason: str) -> None:
    """JSON in several shapes, HTML, text, an empty body."""
    assert short_reason(body) == reason


def test_a_long_body_is_shortened() -> None:
    """A reason has 200 characters at most."""
    for body in (b"x" * 10**6, b"<" * 10**6, b'{"error": "' + b"y" * 10**6 + b'"}', b"<title>" * 10**5):
        assert len(short_reason(body)) <= REASON_LENGTH


def test_observed_quota_headers() -> None:
    """All recorded headers are read."""
    observed = json.loads((SAMPLES / "rate_limit_headers_observed.json").read_text())
    assert [quota_header(each["headers"]) for each in observed] == [QuotaHeader(9, 10, 2), QuotaHeader(7, 10, 43), None, None]


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "Mon, 99 Foo 2020", "Fri, 31 Dec 99999 23:59:59 GMT"])
def test_unreadable_times_are_missing_times(text: str) -> None:
    """Header values never raise an error."""
    assert server_time({"Date": text}) is None
    assert retry_after_seconds({"Retry-After": text}) is None


def test_a_retry_date_in_the_past_is_now() -> None:
    """A wait is never negative."""
    dates = {"Retry-After": formatdate(T - 9, usegmt=True), "Date": formatdate(T, usegmt=True)}
    assert retry_after_seconds(dates) == 0
    assert retry_after_seconds({"Retry-After": "-3"}) == 0
