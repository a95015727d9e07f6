"""The webhook client against a real server: accepted responses, timeouts, and no output that shows the URL."""

import logging
import socket
import time
import traceback
import warnings
from dataclasses import replace

import pytest

from ticket_events_pipeline.alerts.webhook import Answer, post
from ticket_events_pipeline_tests.support.alert_receiver import OK, PATH, SECRET, receiving
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer, cut, garbage, hang, reset, trickle
from ticket_events_pipeline_tests.support.tls import HOST, certificate, proxy_to, speak_tls

PAYLOAD = {"text": "*SLA alert* of `acme`\n• ü"}


def failed(reason, **more):
    return Answer(is_accepted=False, reason=reason, **more)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_counts_as_accepted(status):
    with receiving((status, {}, "" if status == 204 else "<html>")) as webhook:
        assert post(webhook.url, PAYLOAD) == Answer(is_accepted=True)
        assert webhook.texts == [PAYLOAD["text"]]
        (request,) = webhook.server.requests
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "ticket_events_pipeline"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((404, {}, "no_service"), failed("404 no_service", is_final=True)),
        ((410, {}, "channel_is_archived"), failed("410 channel_is_archived", is_final=True)),
        ((403, {}, b"\xff\xfe"), failed("403", is_final=True)),
        ((400, {}, "<h1>invalid_payload</h1>"), failed("400", is_final=True)),
        ((404, {}, f"no_{SECRET}"), failed("404", is_final=True)),
        ((404, {}, ""), failed("404", is_final=True)),
        ((404, {}, "a_" * 100 + "b"), failed("404", is_final=True)),
        ((408, {}, ""), failed("408")),
        ((429, {"Retry-After": "30"}, "rate_limited"), failed("429 rate_limited", wait_seconds=30.0)),
        ((429, {}, ""), failed("429")),
        ((500, {}, "rollup_error"), failed("500 rollup_error")),
        ((503, {"Retry-After": "120"}, ""), failed("503", wait_seconds=120.0)),
        ((503, {"Retry-After": "soon"}, ""), failed("503")),
    ],
)
def test_any_other_response_has_a_reason_and_is_retryable_or_not(answer, expected):
    with receiving(answer) as webhook:
        assert post(webhook.url, PAYLOAD) == expected
        assert len(webhook.texts) == 1


def test_a_word_of_the_url_is_not_repeated_even_if_it_looks_like_a_reason():
    with ScriptedServer([(404, {}, "hush_hush")]) as server:
        assert post(f"{server.url}/hooks/hush_hush", PAYLOAD) == failed("404", is_final=True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    with receiving() as elsewhere, receiving((status, {"Location": elsewhere.url}, "")) as webhook:
        expected = failed(f"{status} (a redirect, which is not followed)", is_final=True)
        assert post(webhook.url, PAYLOAD) == expected
        assert (len(webhook.texts), elsewhere.texts) == (1, [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reset(), "ConnectionResetError"),
        (garbage(b"\x00\r\n\r\n"), "BadStatusLine"),
        (garbage(b""), "RemoteDisconnected"),
        (garbage(b"HTTP/1.1 404 No\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), "InvalidHeader"),
    ],
)
def test_a_missing_response_is_a_failure(answer, kind):
    with receiving(answer) as webhook:
        assert post(webhook.url, PAYLOAD) == failed(f"no answer ({kind})")


def test_a_truncated_body_counts_by_its_status():
    with receiving(cut(b"okokok", 2)) as webhook:
        assert post(webhook.url, PAYLOAD) == Answer(is_accepted=True)


def test_a_refused_connection_is_a_failure_until_the_webhook_is_back():
    with receiving(is_deaf=True) as webhook:
        assert post(webhook.url, PAYLOAD) == failed("no answer (ConnectionRefusedError)")
        webhook.come_back()
        assert post(webhook.url, PAYLOAD).is_accepted


@pytest.mark.parametrize("url", ["https://" + "x" * 64 + ".example/", "https://[::1", "https://a..b/", "nothing"])
def test_an_invalid_address_raises_nothing(url):
    assert not post(url, PAYLOAD).is_accepted


@pytest.mark.slow
def test_a_webhook_that_is_slow_to_answer_has_accepted_the_message():
    """Given up, it would get the message again."""

    def slowly(_):
        time.sleep(6)
        return OK

    with receiving(slowly) as webhook:
        assert post(webhook.url, PAYLOAD) == Answer(is_accepted=True)


def test_a_hanging_webhook_times_out_soon():
    with receiving(hang(600)) as webhook:
        assert post(webhook.url, PAYLOAD, total_seconds=0.3).reason in ("no answer in time", "no answer within 0.3 s")
        assert len(webhook.texts) == 1


def test_a_webhook_that_trickles_does_not_restart_the_wait_with_each_byte():
    """The library's timeout would restart, since each byte arrives in time."""
    answer = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 60_000
    with receiving() as webhook:
        webhook.answer = replace(trickle(answer, lambda: webhook.server.pause(0.05)), is_raw=True)
        assert post(webhook.url, PAYLOAD, total_seconds=0.5) == failed("no answer within 0.5 s")


def test_a_host_without_a_trusted_certificate_gets_nothing(tmp_path, monkeypatch):
    paths = certificate(tmp_path)
    with speak_tls(ScriptedServer([OK]), paths) as server, proxy_to(server) as way:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        answer = post(f"https://{HOST}{PATH}", PAYLOAD)
        assert (answer.is_accepted, answer.is_final, server.requests) == (False, True, [])
        assert "its certificate is not trusted" in answer.reason
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(paths[0]))
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {HOST} login me password from-netrc\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert post(f"https://{HOST}{PATH}", PAYLOAD).is_accepted
        assert "authorization" not in server.requests[0].headers
        assert SECRET not in "".join(way.heads)


def test_a_loopback_address_bypasses_the_proxy(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy, receiving() as webhook:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert post(webhook.url, PAYLOAD).is_accepted


FAILURES = [
    OK,
    (404, {}, f"Not Found: {PATH}"),
    (404, {"Location": PATH}, SECRET),
    (500, {"X": SECRET}, f"no_{SECRET}"),
    (302, {"Location": f"http://[{SECRET}"}, ""),
    garbage(b"HTTP/1.1 200 OK\r\n" + SECRET.encode() + b"\r\nX: 1\r\n\r\n"),
    garbage(SECRET.encode()),
    cut(SECRET.encode(), 3),
    reset(),
]


@pytest.mark.parametrize("answer", FAILURES, ids=range(len(FAILURES)))
def test_nothing_of_the_url_is_returned_logged_warned_or_printed(answer, caplog, capfd):
    """The library's own log lines quote the path, some of them as warnings; all of its loggers are enabled here."""
    caplog.set_level(logging.DEBUG)
    with receiving(answer) as webhook, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        answers = [post(webhook.url, PAYLOAD), post(webhook.url.replace("http://127", "https://127"), PAYLOAD)]
    written = repr(answers) + caplog.text + "".join(capfd.readouterr()) + "".join(str(warning.message) for warning in warned)
    assert SECRET not in written
    assert "/services/" not in written


def test_other_threads_keep_logging(caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # the client of Kubernetes raises it, where an earlier test made one
    logger = logging.getLogger("urllib3.connectionpool")
    monkeypatch.setattr(logger, "disabled", False)  # a logging configuration of an earlier test may have disabled it
    heard = []

    def answer(_):
        logger.debug("another thread speaks")
        heard.append(caplog.text)
        return OK

    with receiving(answer) as webhook:
        assert post(webhook.url, PAYLOAD).is_accepted
    assert "another thread speaks" in heard[0]
    assert logger.filters == []


def test_only_the_class_of_an_unexpected_error_is_returned(capfd):
    answer = post("http://127.0.0.1:1" + PATH, {"text": object()})
    assert answer == failed("can't be sent (TypeError)")
    assert SECRET not in "".join(capfd.readouterr()) + traceback.format_exc()
