"""The alert variables: defaults, bounds, and that no message quotes a value."""

import pytest

from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.errors import SettingsError

ALERTS = {"TICKET_EVENTS_ALERT_WEBHOOK": "https://hooks.example/services/hush"}
WEBHOOK = Destination(Kind.WEBHOOK, ALERTS["TICKET_EVENTS_ALERT_WEBHOOK"])


def test_the_settings_defaults():
    assert alert_settings(ALERTS) == AlertSettings((WEBHOOK,), 10, 80, 20, 3, None)


def test_every_variable_sets_its_setting():
    variables = {
        "TICKET_EVENTS_ALERT_WEBHOOK": " http://127.0.0.1:8065/hooks/hush?x=1 ",
        "TICKET_EVENTS_ALERT_BREACHES": "1",
        "TICKET_EVENTS_ALERT_ACHIEVEMENT_PERCENT": "100",
        "TICKET_EVENTS_ALERT_MIN_TARGETS": "999999",
        "TICKET_EVENTS_ALERT_STALE_HOURS": "26",
        "TICKET_EVENTS_DAGSTER_URL": "http://dagster.example:3000/path/",
    }
    webhook = Destination(Kind.WEBHOOK, "http://127.0.0.1:8065/hooks/hush?x=1", scheme="http")
    expected = AlertSettings((webhook,), 1, 100, 999_999, 26, "http://dagster.example:3000/path")
    assert alert_settings(variables) == expected
    assert "hush" not in repr(expected) + str(expected)
    assert "hush" not in webhook.mark + webhook.name


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WEBHOOK", "", "is not set, and neither is TICKET_EVENTS_NOTIFY_URLS: give the URL of an incoming webhook"),
        ("WEBHOOK", "http://hooks.example/hush", "must begin with https://"),
        ("WEBHOOK", "http://10.0.0.1/hush", "must begin with https://"),
        ("WEBHOOK", "ftp://localhost/hush", "must begin with https://"),
        ("WEBHOOK", "https://me:hush@hooks.example/", "no user"),
        ("WEBHOOK", "https://hooks.example/#hush", "no user or fragment"),
        ("WEBHOOK", "hush", "is not a URL"),
        ("WEBHOOK", "https://hooks.example/hu sh", "is not a URL"),
        ("WEBHOOK", "https://hooks.example/hush\nX: 1", "is not a URL"),
        ("WEBHOOK", "https://[hush", "is not a URL"),
        ("WEBHOOK", "https://hooks.example:hush/", "is not a URL"),
        ("BREACHES", "0", "is no whole number from 1 to 999999"),
        ("BREACHES", "https://hooks.example/hush", "is no whole number"),
        ("BREACHES", "٣", "is no whole number"),
        ("ACHIEVEMENT_PERCENT", "101", "is no whole number from 1 to 100"),
        ("ACHIEVEMENT_PERCENT", "80%", "is no whole number from 1 to 100"),
        ("MIN_TARGETS", "-1", "is no whole number"),
        ("STALE_HOURS", "1.5", "is no whole number"),
    ],
)
def test_a_wrong_setting_is_named_and_not_quoted(variable, value, words):
    with pytest.raises(SettingsError) as caught:
        alert_settings({**ALERTS, f"TICKET_EVENTS_ALERT_{variable}": value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"TICKET_EVENTS_ALERT_{variable}")
    assert words in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://x", "http://a|b", "http://a>b", "https://me:hush@x", "http://x/?a=hush"]
)
def test_the_base_of_links_must_be_an_address(url):
    with pytest.raises(SettingsError, match="TICKET_EVENTS_DAGSTER_URL") as caught:
        alert_settings({**ALERTS, "TICKET_EVENTS_DAGSTER_URL": url})
    assert "hush" not in str(caught.value)


def test_all_wrong_settings_are_named_at_once():
    names = ["WEBHOOK", "BREACHES", "ACHIEVEMENT_PERCENT", "MIN_TARGETS", "STALE_HOURS"]
    with pytest.raises(SettingsError) as caught:
        alert_settings({f"TICKET_EVENTS_ALERT_{name}": "x" for name in names})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"TICKET_EVENTS_ALERT_{name}" for name in names]
