"""The sandbox as a service: only its secret opens it, only that secret goes over plain http, and its quota is one for all."""

import base64
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import requests

from ticket_events_pipeline.credentials import ApiToken, BearerToken, ClientCredentials, Password, SandboxToken
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.sandbox.credentials import DEMO_CREDENTIALS, only_token
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.zendesk.auth import auth_for
from ticket_events_pipeline.zendesk.connection import account_session
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN, new_place

TOKEN = "7b1f0f6f2c8b4e0c9d7a5e3f1b2c4d6e"
EXPORT = "/api/v2/incremental/ticket_events"
OTHER_MACHINE = "http://203.0.113.7:8743"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the tests are about


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


DEMO_HEADERS = (
    "",
    f"Bearer {DEMO_CREDENTIALS.bearer_token}",
    "Bearer sandbox-issued-1",
    basic(f"{DEMO_CREDENTIALS.email}/token", DEMO_CREDENTIALS.api_token),
    basic(DEMO_CREDENTIALS.email, DEMO_CREDENTIALS.password),
)


@pytest.fixture
def server():
    with SandboxServer(RecordedAccount(), credentials=only_token(TOKEN)) as made:
        yield made


def ask(server, path, authorization):
    query = {"start_time": int(wall_clock()) - 3600}
    return requests.get(f"{server.base_url}{path}", params=query, headers={"Authorization": authorization}, timeout=10)


@pytest.mark.parametrize(
    "path", [EXPORT, "/api/v2/incremental/ticket_metric_events", "/api/v2/groups", "/api/v2/oauth/tokens/current"]
)
def test_only_the_secret_opens_the_service(server, path):
    assert [ask(server, f"{path}.json", header).status_code for header in DEMO_HEADERS] == [401] * len(DEMO_HEADERS)
    assert ask(server, f"{path}.json", f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("secret", [DEMO_CREDENTIALS.client_secret, TOKEN])
def test_the_service_issues_no_tokens(server, secret):
    asked = {"grant_type": "client_credentials", "client_id": DEMO_CREDENTIALS.client_id, "client_secret": secret}
    assert requests.post(f"{server.base_url}/oauth/tokens", json=asked, timeout=10).status_code == 401


def test_the_next_page_has_the_name_under_which_the_client_reached_the_service(server):
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "sandbox:8743"}
    query = {"start_time": int(wall_clock()) - 3600}
    answer = requests.get(f"{server.base_url}{EXPORT}", params=query, headers=headers, timeout=10).json()
    assert answer["next_page"].startswith(f"http://sandbox:8743{EXPORT}?start_time=")


@pytest.mark.parametrize(
    ("listen", "token", "words"),
    [
        (EVERYWHERE, "", "set ZENDESK_SANDBOX_TOKEN to a secret"),
        ("203.0.113.7", " ", "set ZENDESK_SANDBOX_TOKEN to a secret"),
        (EVERYWHERE, "sandbox", "ZENDESK_SANDBOX_TOKEN is not a secret of at least 24"),
        ("127.0.0.1", "sandbox-sandbox-sandbox-\x07", "ZENDESK_SANDBOX_TOKEN is not a secret of at least 24"),
        ("sandbox.example", TOKEN, "is not an IPv4 address"),
        ("203.0.113.7", TOKEN, "--listen 203.0.113.7 --port 0 can't be used: Cannot assign"),
    ],
)
def test_the_sandbox_does_not_serve_other_machines_without_a_secret(tmp_path, listen, token, words):
    ended = new_place(tmp_path, ZENDESK_SANDBOX_TOKEN=token).ticket_events("sandbox", "--listen", listen, "--port", "0")
    assert (ended.code, ended.output.count("\n")) == (1, 1)
    assert words in ended.output
    assert not token.strip() or token == "sandbox" or token not in ended.output


@pytest.mark.parametrize(
    "credentials",
    [BearerToken("t"), ClientCredentials("i", "s"), ApiToken("a@b.c", "t"), Password("a@b.c", "p")],
    ids=lambda one: type(one).__name__,
)
def test_no_other_credential_goes_over_plain_http_to_another_machine(credentials):
    with account_session(OTHER_MACHINE, read_seconds=1) as session:
        with pytest.raises(UsageError, match="must begin with https"):
            auth_for(OTHER_MACHINE, credentials, session=session, clock=wall_clock)
        auth_for(OTHER_MACHINE, SandboxToken(TOKEN), session=session, clock=wall_clock)


@pytest.mark.slow
def test_two_roots_share_the_service_s_quota_and_keep_their_files_apart_from_an_account_s(tmp_path):
    """As two containers do: each has files, and a view of the quota, of its own; the server counts for both."""
    with SandboxServer(RecordedAccount(), credentials=only_token(TOKEN), requests_per_minute=100) as server:
        left = []
        for root in ("a", "b"):
            variables = {"ZENDESK_SANDBOX": "1", "ZENDESK_SANDBOX_URL": server.base_url, "ZENDESK_SANDBOX_TOKEN": TOKEN}
            place = new_place(tmp_path / root, **variables)
            ended = place.ticket_events("doctor", "--json")
            assert TOKEN not in ended.output
            left.append(int(re.search(r"([0-9]+) of them are left now", ended.output)[1]))
            assert (place.root / "sandbox" / "_inflight" / "quota-sandbox.json").exists()
            assert [path.name for path in place.root.iterdir()] == ["sandbox"]
    assert left == [100 - len(server.requests) // 2, 100 - len(server.requests)]


IN_A_NETWORK_OF_ITS_OWN = textwrap.dedent("""
    import subprocess, sys
    from ticket_events_pipeline.errors import SettingsError
    from ticket_events_pipeline.pipeline import pipeline_of
    from ticket_events_pipeline.tables.streams import STREAMS

    command, url, token, root = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "203.0.113.7/32", "dev", "lo"], check=True)
    serve = [command, "sandbox", "--listen", "0.0.0.0", "--port", "8743"]
    with subprocess.Popen(serve, env={"ZENDESK_SANDBOX_TOKEN": token}, stdout=subprocess.PIPE, text=True) as service:
        service.stdout.readline()
        known = {"TICKET_EVENTS_ROOT": root, "ZENDESK_SANDBOX": "1", "ZENDESK_SANDBOX_URL": url, "ZENDESK_SANDBOX_TOKEN": token}
        with pipeline_of(known).client(print) as client:
            print(len(client.check(STREAMS["ticket_events"], age_seconds=86_400, rows=100).rows), "rows")
        try:
            pipeline_of({"ZENDESK_BASE_URL": url, "ZENDESK_OAUTH_TOKEN": token}).checked()
        except SettingsError as error:
            print(error)
        service.terminate()
""")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root makes a network of its own")
def test_over_a_network_only_the_secret_is_sent(tmp_path):
    """Between addresses that are not the loopback's, in a network of the test's own."""
    if subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("not allowed to make a network")
    arguments = (str(BIN / "ticket-events"), OTHER_MACHINE, TOKEN, str(tmp_path / "root"))
    command = ["unshare", "--net", sys.executable, "-c", IN_A_NETWORK_OF_ITS_OWN, *arguments]
    path = os.pathsep.join([os.defpath, "/usr/sbin", "/sbin"])
    env = {"PATH": path, "PYTHONPATH": str(CHECKOUT), "LANG": "C.UTF-8"}
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    rows, *refusal = ended.stdout.split("\n", 1)
    assert int(rows.removesuffix(" rows")) > 0
    assert "ZENDESK_BASE_URL: must begin with https://" in refusal[0]
