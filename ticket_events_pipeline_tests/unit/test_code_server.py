"""The code server's variables and versions in the root: what differs, and that no secret is among them."""

import json

import pytest

from ticket_events_pipeline.code_server import (
    PATH,
    Difference,
    Fingerprint,
    differences,
    fingerprint_of,
    read_code_server,
    warning,
    write_code_server,
)
from ticket_events_pipeline.settings import load_settings
from ticket_events_pipeline.storage.folder_store import FolderStore

SECRET = "not-a-secret-41aa"
ACCOUNT = {
    "ZENDESK_SUBDOMAIN": "acme",
    "ZENDESK_OAUTH_CLIENT_ID": "acme-client",
    "ZENDESK_OAUTH_CLIENT_SECRET": SECRET,
    "TICKET_EVENTS_ALERT_WEBHOOK": f"https://hooks.example/{SECRET}",
    "TICKET_EVENTS_START_DATE": "2026-01-01",
    "TICKET_EVENTS_ROOT": "s3://lake/acme",
}


def fingerprint(**more):
    return fingerprint_of(load_settings({**ACCOUNT, **more}))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ZENDESK_SUBDOMAIN", "globex"),
        ("TICKET_EVENTS_ROOT", "s3://lake/other"),
        ("TICKET_EVENTS_START_DATE", "2026-01-02"),
        ("TICKET_EVENTS_TIMEZONE", "Europe/Berlin"),
        ("ZENDESK_REQUESTS_PER_MINUTE", "30"),
        ("ZENDESK_SUPPORT_TYPE_SCOPE", "all"),
        ("ZENDESK_INCLUDE_COMMENTS", "1"),
        ("ZENDESK_SNAPSHOTS", "0"),
        ("ZENDESK_NAMES", "none"),
        ("ZENDESK_FORMER_SUBDOMAINS", "acme-old"),
        ("TICKET_EVENTS_TICKET_TABLES", "0"),
        ("TICKET_EVENTS_DIMENSIONS", "custom_field:360041597112"),
        ("TICKET_EVENTS_RESTATE_DAYS", "7"),
        ("TICKET_EVENTS_PUBLISH_DELTA", "/srv/lakehouse"),
        ("TICKET_EVENTS_PUBLISH_CATALOG", "lakehouse.acme"),
        ("TICKET_EVENTS_GOAL_PERCENT", "97.5"),
        ("TICKET_EVENTS_ALERT_MIN_TARGETS", "5"),
    ],
)
def test_every_variable_that_decides_what_is_written_is_compared(variable, value):
    (found,) = differences(fingerprint(**{variable: value}), fingerprint())
    assert (found.name, found.here) == (variable, value)


def test_a_default_that_is_set_and_another_spelling_are_no_difference():
    same = {"TICKET_EVENTS_TIMEZONE": "UTC", "ZENDESK_REQUESTS_PER_MINUTE": "010", "ZENDESK_SNAPSHOTS": "yes"}
    assert differences(fingerprint(**same), fingerprint(ZENDESK_TIMEOUT_SECONDS="5")) == []


def test_a_name_that_only_one_of_them_knows_differs():
    here, there = Fingerprint({"dagster": "1.13.27"}, {"A": "1"}), Fingerprint({"dagster": "1.13.29"}, {"B": "2"})
    assert differences(here, there) == [
        Difference("dagster", "1.13.27", "1.13.29"),
        Difference("A", "1", "not set"),
        Difference("B", "not set", "2"),
    ]


def test_the_file_holds_no_credential_and_is_written_only_when_it_changes(tmp_path):
    store = FolderStore(tmp_path)
    assert read_code_server(store) is None
    write_code_server(store, fingerprint(), now=1000.0)
    write_code_server(store, fingerprint(), now=2000.0)
    found = read_code_server(store)
    assert (found.fingerprint, found.written_at) == (fingerprint(), 1000.0)
    content = (tmp_path / PATH).read_text()
    assert SECRET not in content
    assert "acme-client" not in content
    write_code_server(store, fingerprint(TICKET_EVENTS_TIMEZONE="Asia/Kolkata"), now=3000.0)
    assert read_code_server(store).written_at == 3000.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", json.dumps({"fingerprint": {"versions": 1}}).encode()])
def test_a_file_of_another_form_counts_as_none_and_is_replaced(tmp_path, content):
    store = FolderStore(tmp_path)
    store.update(PATH, lambda _: content)
    assert read_code_server(store) is None
    write_code_server(store, fingerprint(), now=1000.0)
    assert read_code_server(store).fingerprint == fingerprint()


def test_a_run_warns_of_what_differs_and_says_nothing_otherwise(tmp_path):
    store = FolderStore(tmp_path)
    write_code_server(store, fingerprint(), now=1000.0)
    found = read_code_server(store)
    assert warning(fingerprint(), found) == ""
    text = warning(fingerprint(TICKET_EVENTS_START_DATE="2026-01-03"), found)
    assert f"the code server on {found.host}: TICKET_EVENTS_START_DATE is 2026-01-03 here, 2026-01-01 there." in text


def test_the_first_day_of_the_sandbox_moves_with_the_calendar_and_is_not_compared(tmp_path):
    sandbox = load_settings({"ZENDESK_SANDBOX": "1", "TICKET_EVENTS_ROOT": str(tmp_path)})
    assert "TICKET_EVENTS_START_DATE" not in fingerprint_of(sandbox).variables
