"""How long before its due time a warning is sent; a malformed variable is named, and its value quoted nowhere."""

import pytest

from ticket_events_pipeline.alerts.warning_settings import warning_settings
from ticket_events_pipeline.errors import SettingsError


def settings(text):
    return warning_settings({"TICKET_EVENTS_WARN_MINUTES": text})


@pytest.mark.parametrize("text", ["", " ", "60", "60,", " 60 , "])
def test_an_hour_is_the_default(text):
    assert settings(text).seconds_of("first_reply_time") == 3600
    assert settings(text).longest_seconds == 3600


def test_a_metric_has_its_own_minutes_and_the_plain_number_is_for_the_others():
    made = settings("45, first_reply_time = 30,agent_work_time=120")
    assert [made.seconds_of(name) for name in ("first_reply_time", "agent_work_time", "next_reply_time")] == [1800, 7200, 2700]
    assert made.longest_seconds == 7200
    assert settings("first_reply_time=30").seconds_of("next_reply_time") == 3600


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("1441", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("99999999", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("1h", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("-5", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("first_reply_time", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("https://hooks.example/hush", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("٣٠", "is no number of minutes from 1 to 1440: give it as in 60, and"),
        ("reply_time=30", "names a metric that SLA policies don't have; they have agent_work_time, first_reply_time, "),
        ("60,30", "gives two numbers for all other metrics"),
        ("first_reply_time=1,first_reply_time=2", "gives two numbers for first_reply_time"),
    ],
)
def test_a_malformed_variable_is_named_and_not_quoted(text, problem):
    with pytest.raises(SettingsError) as raised:
        settings(text)
    assert f"TICKET_EVENTS_WARN_MINUTES: {problem}" in str(raised.value)
    assert "hush" not in str(raised.value)
