"""Which kind of receiver a URL belongs to, and that no problem with one quotes it."""

import pytest

from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.settings import alert_settings
from ticket_events_pipeline.errors import SettingsError

WEBHOOK, URLS = "TICKET_EVENTS_ALERT_WEBHOOK", "TICKET_EVENTS_NOTIFY_URLS"


def destinations(webhook="", urls=""):
    return alert_settings({WEBHOOK: webhook, URLS: urls}).destinations


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", Kind.SLACK),
        ("HTTPS://HOOKS.SLACK.COM/services/T/B/x", Kind.SLACK),
        ("https://hooks.slack.com.example/services/T/B/x", Kind.WEBHOOK),
        ("https://prod-05.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=x", Kind.TEAMS),
        ("https://default1.35.environment.api.powerplatform.com:443/powerautomate/automations/direct/x?sig=x", Kind.TEAMS),
        ("https://logic.azure.com.example/x", Kind.WEBHOOK),
        ("https://acme.webhook.office.com/webhookb2/x", Kind.TEAMS),
        ("https://mattermost.example/hooks/x", Kind.WEBHOOK),
        ("http://127.0.0.1:8065/hooks/x", Kind.WEBHOOK),
    ],
)
def test_the_host_of_a_url_says_what_it_understands(url, kind):
    assert [found.kind for found in destinations(urls=url)] == [kind]
    assert [found.kind for found in destinations(webhook=url)] == [kind]


def test_the_webhook_is_first_and_a_url_in_both_variables_counts_once():
    slack, other = "https://hooks.slack.com/services/hush", "https://chat.example/hush"
    found = destinations(slack, f" {other} ,\n{slack},,{other}")
    assert found == (
        Destination(Kind.SLACK, slack, 1, WEBHOOK),
        Destination(Kind.WEBHOOK, other, 2, URLS),
    )
    assert [one.name for one in found] == ["destination 1 (Slack)", "destination 2 (webhook)"]
    assert len({one.mark for one in found}) == 2
    assert "hush" not in repr(found)


def test_one_variable_is_enough():
    assert [one.variable for one in destinations(urls="https://chat.example/x")] == [URLS]
    assert [one.variable for one in destinations(webhook="https://chat.example/x")] == [WEBHOOK]


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ("hush", "URL 1 is no URL"),
        ("hush-1://,hush", "URL 2 is no URL"),
        ("hush,b", "a comma inside it is written %2C"),
        ("https://chat.example/hu sh", "URL 1 is no URL"),
        ("http://chat.example/hush", "URL 1 can't be used: must begin with https://"),
        ("https://[hush]/services", "URL 1 can't be used: is not a URL of the form https://host"),
        ("https://me:hush@chat.example/", "URL 1 can't be used: give scheme, host, path and query only"),
    ],
)
def test_a_wrong_url_is_named_by_its_number_and_not_quoted(urls, words):
    with pytest.raises(SettingsError) as caught:
        destinations(urls=urls)
    problem = caught.value.problems[-1 if "2" in words else 0]
    assert problem.startswith(f"{URLS}: ")
    assert words in problem
    assert not [secret for secret in ("hush", "chat.example") if secret in problem]


@pytest.mark.parametrize(
    ("webhook", "urls", "problem"),
    [
        ("https://chat.example/1", "hush", f"{URLS}: URL 1 is no URL"),
        ("https://chat.example/1", "http://chat.example/hush", f"{URLS}: URL 1 can't be used: must begin with https://"),
        ("hush", "https://chat.example/1", f"{WEBHOOK}: is not a URL"),
        ("", "https://chat.example/1,hush", f"{URLS}: URL 2 is no URL"),
    ],
)
def test_a_wrong_url_keeps_no_other_from_its_messages(webhook, urls, problem):
    settings = alert_settings({WEBHOOK: webhook, URLS: urls})
    assert [found.url for found in settings.destinations if not found.problem] == ["https://chat.example/1"]
    (found,) = settings.problems
    assert found.startswith(problem)
    (name,) = [found.name for found in settings.destinations if found.problem]
    assert name in ("destination 1 (unusable)", "destination 2 (unusable)")
    assert "hush" not in f"{settings} {found} {name}"


def test_of_too_many_urls_nine_are_used():
    settings = alert_settings({URLS: ",".join(f"https://chat.example/{number}" for number in range(20))})
    assert settings.problems == (f"{URLS}: has more than 9 URLs: from URL 10 on, they get nothing",)
    assert len([found for found in settings.destinations if not found.problem]) == 9


def test_with_another_wrong_setting_every_problem_is_named():
    with pytest.raises(SettingsError) as caught:
        alert_settings({WEBHOOK: "https://chat.example/1", URLS: "hush", "TICKET_EVENTS_ALERT_BREACHES": "0"})
    assert len(caught.value.problems) == 2
