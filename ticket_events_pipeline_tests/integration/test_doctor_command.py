"""`ticket-events doctor` as a user runs it: what works, what to fix, and when a token ends."""

import json
import time

import pytest

from ticket_events_pipeline.cli.doctor_checks import Deployment, Status, check_alerts, split_advice
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.credentials import TokenWorld
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.alert_receiver import SECRET, receiving
from ticket_events_pipeline_tests.support.commands import INVALID_TOKEN, new_place

SET_CREDENTIALS = "Set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"


@pytest.fixture(scope="module")
def account():
    """A server for tests that say nothing about the account."""
    with SandboxServer(RecordedAccount()) as server:
        yield server


@pytest.mark.slow
def test_the_doctor_says_what_works_and_what_to_fix(tmp_path):
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, server)
        well = place.ticket_events("doctor")
        assert (well.code, well.output.count("FAIL  ")) == (0, 0), well.output
        assert [seen.status for seen in server.requests] == [200] * 4
        assert [seen.status for seen in server.lookups] == [200]
        assert "note  ZENDESK_OAUTH_TOKEN has no end yet" in well.output
        ill = place.ticket_events("doctor", ZENDESK_OAUTH_TOKEN=INVALID_TOKEN)
        assert [seen.status for seen in server.requests[4:]] == [401]
    assert ill.code == 1
    assert "FAIL  GET /api/v2/incremental/ticket_events" in ill.output
    assert "\n      fix: Check ZENDESK_OAUTH_TOKEN." in ill.output
    assert INVALID_TOKEN not in ill.output
    assert "Traceback" not in ill.output
    place.variables.clear()
    bare = place.ticket_events("doctor")
    assert bare.code == 1
    assert "FAIL  ZENDESK_SUBDOMAIN is not set" in bare.output
    assert f"FAIL  no credentials are set\n      fix: {SET_CREDENTIALS}" in bare.output


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
        well = place.ticket_events("doctor", **client)
        api_token = {"ZENDESK_EMAIL": "sandbox@example.com", "ZENDESK_API_TOKEN": "sandbox"}
        warned = place.ticket_events("doctor", **api_token)
        assert server.lookups == []
    assert (warned.code, warned.output.count("note  ")) == (0, well.output.count("note  ") + 1)
    assert "note  ZENDESK_API_TOKEN: Zendesk deactivates API tokens that are unused for 30 days" in warned.output


def test_the_doctor_reads_the_env_file_that_a_run_would_read(tmp_path):
    """Dagster reads `.env` in the working folder; it overrides exported variables."""
    (tmp_path / ".env").write_text("ZENDESK_SANDBOX=1\nTICKET_EVENTS_TIMEZONE=Asia/Kolkata\n")
    ended = new_place(tmp_path).ticket_events("doctor", TICKET_EVENTS_TIMEZONE="Mars/Olympus")
    assert ended.code == 0, ended.output
    assert "account sandbox, days of Asia/Kolkata" in ended.output


def findings(place, *arguments, **variables):
    """What the doctor finds, as a script reads it: by check, the status and the text."""
    found = json.loads(place.ticket_events("doctor", "--json", *arguments, **variables).output)
    assert all(set(finding) == {"check", "status", "text", "fix"} for finding in found)
    assert len({(finding["text"], finding["fix"]) for finding in found}) == len(found), "a line stands twice"
    return {finding["check"]: (finding["status"], finding["text"]) for finding in found}


def test_the_doctor_reads_both_streams_and_the_quota_with_a_request_each(tmp_path):
    with SandboxServer(SimulatedAccount(), requests_per_minute=30) as server:
        place = new_place(tmp_path, server, ZENDESK_REQUESTS_PER_MINUTE="10")
        found = findings(place)
        assert len(server.requests) == 2
        assert findings(place, ZENDESK_REQUESTS_PER_MINUTE="30")["quota"][0] == "ok"
    assert found["ticket_events"][1].startswith("ticket_events: can be read; ")
    assert "the newest of them" in found["ticket_metric_events"][1]
    status, text = found["quota"]
    assert (status, "grants 30 requests a minute, 28 of them are left now" in text) == ("note", True)
    assert found["slas"][0] == "ok"


def test_the_doctor_notes_streams_without_events_and_without_slas(tmp_path):
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, server)
        quiet = findings(place)
        account = RecordedAccount()
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1800))
        event = {"id": 1, "ticket_id": 7, "metric": "reply_time", "instance_id": 1, "type": "activate", "time": moment}
        account.deliver("ticket_metric_events", [event])
    assert quiet["ticket_events"] == ("note", "ticket_events: can be read, but has no event of the last 7 d")
    assert quiet["slas"] == ("note", "SLAs: not known whether any are applied: no metric event was seen.")
    with SandboxServer(account) as server:
        status, text = findings(new_place(tmp_path / "other", server))["slas"]
    assert (status, "none of 1 metric event that were read now applies a policy" in text) == ("note", True)


def test_the_doctor_names_mistyped_variables_and_wrong_ones_of_alerts_and_retention(tmp_path, account):
    place = new_place(tmp_path, account, TICKET_EVENTS_TIMEZON="UTC")
    wrong = {"TICKET_EVENTS_ALERT_WEBHOOK": f"http://hooks.example/{SECRET}", "TICKET_EVENTS_WARN_MINUTES": "1h"}
    wrong["TICKET_EVENTS_RETAIN_DAYS"] = "30"
    ended = place.ticket_events("doctor", **wrong, ZENDESK_XYZ="1")
    assert ended.code == 1
    assert "note  TICKET_EVENTS_TIMEZON is unknown: did you mean TICKET_EVENTS_TIMEZONE?" in ended.output
    assert "note  ZENDESK_XYZ is unknown: nothing reads it." in ended.output
    assert "FAIL  TICKET_EVENTS_ALERT_WEBHOOK: must begin with https://" in ended.output
    assert "FAIL  TICKET_EVENTS_WARN_MINUTES: is no number of minutes from 1 to 1440" in ended.output
    assert "FAIL  TICKET_EVENTS_RETAIN_DAYS: '30' is not a whole number from 75 to 999999" in ended.output
    assert SECRET not in ended.output


def test_a_wrong_url_beside_a_good_one_is_a_failure(tmp_path):
    variables = {"TICKET_EVENTS_ALERT_WEBHOOK": "https://hooks.example/x", "TICKET_EVENTS_NOTIFY_URLS": f"{SECRET},{SECRET}"}
    found = list(check_alerts(Deployment({"TICKET_EVENTS_ROOT": str(tmp_path), **variables}, log=lambda _: None)))
    assert [finding.status for finding in found] == [Status.FAILED, Status.OK]
    assert found[0].text.startswith("TICKET_EVENTS_NOTIFY_URLS: URL 1 is no URL")
    assert found[1].text.startswith("alerts: 1 destination,")
    assert SECRET not in f"{found}"


def test_a_root_that_cannot_be_written_is_named_once_and_the_account_is_asked_nevertheless(tmp_path):
    (tmp_path / "file").write_text("")
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path / "place", server, TICKET_EVENTS_ROOT=str(tmp_path / "file"))
        ended = place.ticket_events("doctor")
    assert (ended.code, ended.output.count("can't write below"), ended.output.count("export quota")) == (1, 1, 0)
    assert "ok    credentials: " in ended.output


def test_the_doctor_posts_a_test_message_only_when_it_is_asked_to(tmp_path, account):
    with receiving() as webhook:
        place = new_place(tmp_path, account, ZENDESK_SUBDOMAIN="sandbox", TICKET_EVENTS_ALERT_WEBHOOK=webhook.url)
        assert "webhook" not in findings(place)
        assert webhook.texts == []
        assert findings(place, "--webhook")["webhook"][0] == "ok"
        assert webhook.texts[0].startswith("*Test of the SLA alerts* of `sandbox`")
        webhook.answer = (404, {}, "no_service")
        status, text = findings(place, "--webhook")["webhook"]
    assert (status, text) == ("FAIL", "webhook: destination 1 (webhook) did not accept a test message: 404 no_service")


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ("", "note  DAGSTER_HOME is not set"),
        ("relative", "FAIL  DAGSTER_HOME: relative is no absolute path."),
        ("/nowhere/at/all", "FAIL  DAGSTER_HOME: /nowhere/at/all is no folder."),
        ("/", "note  DAGSTER_HOME: / has no dagster.yaml"),
    ],
)
def test_the_doctor_looks_at_dagster_home(tmp_path, account, home, words):
    assert words in new_place(tmp_path, account).ticket_events("doctor", DAGSTER_HOME=home).output


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("X is not set: give the URL", ("X is not set", "Give the URL")),
        ("It failed (401). Check Y. Then more.", ("It failed (401).", "Check Y. Then more.")),
        ("needs obstore: pip install it", ("needs obstore", "pip install it")),
        ("Nothing to do here: the settings are checked.", ("Nothing to do here: the settings are checked.", "")),
    ],
)
def test_the_advice_of_a_message_is_its_end(message, parts):
    assert split_advice(message) == parts


def test_nothing_is_adopted_without_a_home(tmp_path, account):
    ended = new_place(tmp_path, account).ticket_events("doctor", "--adopt-dagster-home", DAGSTER_HOME="")
    assert ended.code == 1
    assert "FAIL  DAGSTER_HOME is not set: there is none to keep." in ended.output
