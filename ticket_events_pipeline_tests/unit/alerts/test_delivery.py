"""Deliveries to real receivers of every kind: bounded, side by side, and with nothing of a URL in what is said or written."""

import json
import logging
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from ticket_events_pipeline.alerts import other_services
from ticket_events_pipeline.alerts.delivery import deliver, deliver_all, deliver_each, deliver_patiently, destinations
from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.rich_text import Message, Section, bold, code, link, text
from ticket_events_pipeline.alerts.settings import alert_settings
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline_tests.support.alert_receiver import OK, SECRET, receiving
from ticket_events_pipeline_tests.support.mail_server import receiving_mail
from ticket_events_pipeline_tests.support.messages import check_slack, check_teams
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer, hang, reset

MESSAGE = Message(
    (bold("SLA alert"), text(" of "), code("acme")),
    (Section(((bold("5 breaches"), text(" under "), code("<Silver>"), text(" "), link("#1", "https://a.example/1")),)),),
)
ACCEPTED = Answer(is_accepted=True)
REFUSED = "not accepted; Apprise's own command says why: apprise -vv -b test, followed by the URL"
URLS = "TICKET_EVENTS_NOTIFY_URLS"


def named(urls):
    return destinations(alert_settings({URLS: ",".join(urls)}))


def as_json(server, path=SECRET):
    return f"json://{server.url.removeprefix('http://')}/{path}"


@pytest.mark.parametrize("kind", [Kind.SLACK, Kind.TEAMS, Kind.WEBHOOK])
def test_each_kind_of_webhook_gets_its_own_json(kind):
    with ScriptedServer([OK]) as server:
        assert deliver(Destination(kind, server.url), MESSAGE) == ACCEPTED
        (request,) = server.requests
    payload = json.loads(request.body)
    if kind == Kind.TEAMS:
        assert check_teams(payload)[0] == "**SLA alert** of acme"
    else:
        check_slack(payload)
        assert payload["text"].startswith("*SLA alert* of `acme`\n• *5 breaches* under `&lt;Silver&gt;`")
        assert ("blocks" in payload) == (kind == Kind.SLACK)


def test_a_service_of_the_library_gets_the_message():
    with ScriptedServer([OK, (500, {}, SECRET)]) as server:
        (destination,) = named([as_json(server)])
        assert (destination.kind, destination.name) == (Kind.OTHER, "destination 1 (json)")
        assert deliver(destination, MESSAGE) == ACCEPTED
        assert deliver(destination, MESSAGE) == Answer(is_accepted=False, reason=REFUSED)
    body = json.loads(server.requests[0].body)
    assert body["title"] == "SLA alert of acme"
    assert body["message"] == "• 5 breaches under `<Silver>` #1 (https://a.example/1)"


def test_the_library_follows_no_redirect_asks_no_proxy_for_this_machine_and_no_netrc(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password from-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer([(307, {"Location": "/elsewhere"}, ""), OK]) as server, ScriptedServer([OK]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        (destination,) = named([as_json(server)])
        assert not deliver(destination, MESSAGE).is_accepted
    assert [request.path for request in server.requests] == [f"/{SECRET}"]
    assert "authorization" not in server.requests[0].headers
    assert proxy.requests == []


def test_the_library_is_not_given_the_credentials_of_the_account(monkeypatch, tmp_path):
    """Its process would show them in its environment."""
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", SECRET)
    monkeypatch.setenv("ACME_URLS", f"json://127.0.0.1/{SECRET},json://127.0.0.1/2")
    shell = tmp_path / "python"
    shell.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\necho null\n")
    shell.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(shell))
    answer = deliver(Destination(Kind.OTHER, f"json://127.0.0.1/{SECRET}"), MESSAGE)
    assert answer.reason == "its URL is not understood"
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert SECRET not in seen


def test_a_mail_has_the_title_as_its_subject_and_the_lines_as_html():
    with receiving_mail() as server:
        (destination,) = named([f"mailto://127.0.0.1:{server.port}?from=sla@example.org&to=team@example.org"])
        assert deliver(destination, MESSAGE) == ACCEPTED
        server.refuses = True
        assert deliver(destination, MESSAGE).reason == REFUSED
    (mail,) = server.mails
    assert (mail["Subject"], mail["To"]) == ("SLA alert of acme", "team@example.org")
    html = mail.get_body(("html",)).get_content()
    assert '<b>5 breaches</b> under <code>&lt;Silver&gt;</code> <a href="https://a.example/1">#1</a>' in html


def test_all_get_it_side_by_side_and_one_that_hangs_delays_no_other():
    with ScriptedServer([hang(600)]) as slow, receiving() as fast, receiving((404, {}, "no_service")) as revoked:
        kinds = [Destination(Kind.WEBHOOK, server.url) for server in (slow, revoked, fast)]
        assert deliver(kinds[0], MESSAGE, total_seconds=0.3).reason.startswith("no answer")
        answers = deliver_all(kinds[1:], MESSAGE)
    assert answers == {
        kinds[1].mark: Answer(is_accepted=False, is_final=True, reason="404 no_service"),
        kinds[2].mark: ACCEPTED,
    }
    assert len(fast.texts) == 1
    assert deliver_each({}) == {}


@pytest.mark.slow
def test_a_service_that_hangs_is_given_up():
    with ScriptedServer([hang(600)] * 3) as server:
        (destination,) = named([as_json(server)])
        began = time.monotonic()
        answer = deliver(destination, MESSAGE, total_seconds=2)
        assert answer in (Answer(is_accepted=False, reason="no answer within 2 s"), Answer(False, reason=REFUSED))
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"nothing://{SECRET}", "is not understood"),
        (f"tgram://{SECRET}", "is not understood"),
        (f"json://chat.example/{SECRET}", "would be sent in clear text"),
        (f"mailto://me:{SECRET}@mail.example", "would be sent in clear text"),
    ],
)
def test_a_url_that_the_library_cannot_use_is_a_problem_of_the_settings(url, words):
    with pytest.raises(SettingsError) as caught:
        named([url])
    (problem,) = caught.value.problems
    assert problem.startswith(f"{URLS}: URL 1 {words}")
    assert SECRET not in problem


def test_a_url_that_cannot_be_used_is_answered_without_a_request_and_not_tried_again():
    with receiving() as webhook:
        good, bad = named([webhook.url, f"nothing://{SECRET}"])
        answers = deliver_patiently([good, bad], MESSAGE, sleep=lambda _: pytest.fail("it waits"))
    assert answers[good] == ACCEPTED
    assert answers[bad].reason.startswith(f"it can't be used: {URLS}: URL 2 is not understood")
    assert SECRET not in f"{answers}"


def test_without_the_library_a_url_of_its_own_is_a_problem_and_webhooks_work(monkeypatch):
    monkeypatch.setattr(other_services, "LIBRARY", "a_library_that_is_not_installed")
    with pytest.raises(SettingsError, match=r"URL 1 needs a library: install ticket_events_pipeline\[notify\]"):
        named([f"mailtos://me:{SECRET}@mail.example"])
    assert len(named(["https://chat.example/x"])) == 1


def test_what_cannot_be_rendered_or_started_is_an_answer():
    broken = Message((object(),))
    for kind in (Kind.SLACK, Kind.OTHER):
        answer = deliver(Destination(kind, f"https://chat.example/{SECRET}"), broken)
        assert not answer.is_accepted
        assert SECRET not in answer.reason


ANSWERS = [
    OK,
    (404, {}, f"no_{SECRET}"),
    (500, {"X": SECRET}, SECRET),
    (302, {"Location": f"/{SECRET}"}, ""),
    reset(),
    hang(600),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_nothing_of_a_url_is_returned_logged_warned_or_printed(answer, caplog, capfd):
    """For success, refusal, a redirect, no answer and an answer too late, of every kind; all loggers are enabled."""
    caplog.set_level(logging.DEBUG)
    with ScriptedServer([answer] * 9) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        kinds = [Destination(kind, f"{server.url}/{SECRET}") for kind in (Kind.SLACK, Kind.TEAMS, Kind.WEBHOOK)]
        made = [*kinds, *named([as_json(server)])]
        seconds = 12 if answer == OK else 2
        with ThreadPoolExecutor(len(made)) as threads:
            answers = list(threads.map(lambda destination: deliver(destination, MESSAGE, total_seconds=seconds), made))
    assert {answer.is_accepted for answer in answers} == {answer == OK}
    written = f"{made}{answers}{caplog.text}{capfd.readouterr()}{[str(warning.message) for warning in warned]}"
    assert SECRET not in written
    assert server.url.removeprefix("http://") not in written
