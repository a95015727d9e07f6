"""`ticket-events doctor` as a user runs it: what works, what to fix, and when a token ends."""

import time

import pytest

from ticket_events_pipeline.sandbox.credentials import TokenWorld
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.commands import INVALID_TOKEN, new_place

SET_CREDENTIALS = "set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"


@pytest.mark.slow
def test_the_doctor_says_what_works_and_what_to_fix(tmp_path):
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, server)
        well = place.ticket_events("doctor")
        assert (well.code, well.output.count("ok  "), well.output.count("FAIL  ")) == (0, 3, 0), well.output
        assert [seen.status for seen in server.requests] == [200]
        assert [seen.status for seen in server.lookups] == [200]
        assert "note  ZENDESK_OAUTH_TOKEN has no end yet" in well.output
        ill = place.ticket_events("doctor", ZENDESK_OAUTH_TOKEN=INVALID_TOKEN)
        assert [seen.status for seen in server.requests[1:]] == [401]
    assert ill.code == 1
    assert "FAIL  GET /api/v2/incremental/ticket_events" in ill.output
    assert "Check ZENDESK_OAUTH_TOKEN." in ill.output
    assert INVALID_TOKEN not in ill.output
    assert "Traceback" not in ill.output
    place.variables.clear()
    bare = place.ticket_events("doctor")
    assert bare.code == 1
    assert "FAIL  ZENDESK_SUBDOMAIN is not set" in bare.output
    assert f"FAIL  no credentials are set: {SET_CREDENTIALS}" in bare.output


@pytest.mark.parametrize(
    ("world", "words"),
    [
        ({"fixed_ends_at": time.time() + 3 * 86_400 + 300}, "note  ZENDESK_OAUTH_TOKEN ends at 20"),
        ({"fixed_ends_at": time.time() + 30 * 86_400}, "ok    ZENDESK_OAUTH_TOKEN ends at 20"),
        ({"states_end": False}, "note  ZENDESK_OAUTH_TOKEN: the token's end is unknown"),
    ],
)
def test_the_doctor_says_when_a_fixed_token_ends(tmp_path, world, words):
    with SandboxServer(RecordedAccount(), tokens=TokenWorld(**world)) as server:
        ended = new_place(tmp_path, server).ticket_events("doctor")
    assert ended.code == 0
    assert words in ended.output
    assert (
        "A fixed token is for a trial; for a schedule set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"
        in ended.output
    )


def test_the_doctor_takes_an_oauth_client_and_warns_of_an_api_token(tmp_path):
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, ZENDESK_BASE_URL=server.base_url)
        client = {"ZENDESK_OAUTH_CLIENT_ID": "sandbox", "ZENDESK_OAUTH_CLIENT_SECRET": "sandbox"}
        assert place.ticket_events("doctor", **client).output.count("note  ") == 0
        api_token = {"ZENDESK_EMAIL": "sandbox@example.com", "ZENDESK_API_TOKEN": "sandbox"}
        warned = place.ticket_events("doctor", **api_token)
        assert server.lookups == []
    assert (warned.code, warned.output.count("note  ")) == (0, 1)
    assert "note  ZENDESK_API_TOKEN: Zendesk deactivates API tokens that are unused for 30 days" in warned.output


def test_the_doctor_reads_the_env_file_that_a_run_would_read(tmp_path):
    """Dagster reads `.env` in the working folder; it overrides exported variables."""
    (tmp_path / ".env").write_text("ZENDESK_SANDBOX=1\nTICKET_EVENTS_TIMEZONE=Asia/Kolkata\n")
    ended = new_place(tmp_path).ticket_events("doctor", TICKET_EVENTS_TIMEZONE="Mars/Olympus")
    assert ended.code == 0, ended.output
    assert "account sandbox, days of Asia/Kolkata" in ended.output
