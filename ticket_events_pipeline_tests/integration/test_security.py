"""Credentials go to one host, over TLS, and nowhere else; files stay below the root and are their owner's alone.

What each kind of credentials sends is in `unit/zendesk/test_auth.py`; which settings are refused, in `unit/test_settings.py`.
"""

import base64
import json
import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.credentials import BearerToken, ClientCredentials, Password
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.resources import pipeline_resource
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.errors import RequestRefusedError, TicketEventsError, UsageError
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import load_settings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.client_bench import SECRET, Bench, bench, last_page
from ticket_events_pipeline_tests.support.commands import DEFINITIONS, new_place
from ticket_events_pipeline_tests.support.faulty_account import ROW_OF
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.real_host import KINDS, PROXY_PASSWORD, at_a_real_host, shown
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer, cut, garbage, reset
from ticket_events_pipeline_tests.support.tls import HOST

GRANT: Item = (200, {}, {"access_token": "granted-" + SECRET, "expires_in": 3600})


@pytest.mark.parametrize("kind", list(KINDS))
def test_netrc_and_proxy_neither_change_nor_see_requests_and_own_certificates_work(tmp_path, monkeypatch, kind):
    """The library would put a .netrc's password in place of ours by default."""
    script = [GRANT, last_page()] if kind == "client" else [last_page()]
    with at_a_real_host(tmp_path, monkeypatch, *script, kind=kind) as (made, way):
        made.walk()
        seen = [request.headers.get("authorization") for request in made.server.requests]
    assert (
        seen
        == {
            "token": [f"Bearer {SECRET}"],
            "client": [None, f"Bearer granted-{SECRET}"],
            "api token": ["Basic " + base64.b64encode(f"a@example.com/token:{SECRET}".encode()).decode()],
            "password": ["Basic " + base64.b64encode(f"a@example.com:{SECRET}<é&'\">".encode()).decode()],
        }[kind]
    )
    heads = "".join(way.heads)
    assert heads.startswith(f"CONNECT {HOST}:443 HTTP/1.")
    assert not re.search("^authorization|netrc", heads, re.IGNORECASE | re.MULTILINE)
    assert SECRET not in heads


@pytest.mark.parametrize(
    ("trusted", "host", "words"),
    [(False, HOST, "self.signed certificate"), (True, "other.invalid", "Hostname mismatch|not match|is not valid for")],
)
@pytest.mark.parametrize("kind", ["token", "client"])
def test_a_host_that_cannot_prove_its_name_gets_no_credentials_and_no_retry(tmp_path, monkeypatch, kind, trusted, host, words):
    with at_a_real_host(tmp_path, monkeypatch, last_page(), kind=kind, trusted=trusted, host=host) as (made, _):
        with pytest.raises(RequestRefusedError, match=rf"certificate is not trusted \(.*({words}).*REQUESTS_CA_BUNDLE"):
            made.walk()
        assert (made.server.requests, made.time.waits) == ([], [])


def test_a_proxy_that_refuses_is_named_without_its_password(tmp_path, monkeypatch):
    with at_a_real_host(tmp_path, monkeypatch, refuses=True) as (made, _):
        with pytest.raises(RequestRefusedError, match=r"407 Proxy Authentication Required.*HTTPS_PROXY") as caught:
            made.walk()
        assert made.time.waits == []
        assert PROXY_PASSWORD not in shown(caught.value) + "".join(made.log)


@pytest.mark.parametrize("proxy", [f"http://user:{PROXY_PASSWORD}@[bad", f"user:{PROXY_PASSWORD}@127.0.0.1:1"])
def test_an_invalid_proxy_is_named_without_its_password(tmp_path, monkeypatch, proxy):
    with at_a_real_host(tmp_path, monkeypatch) as (made, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(TicketEventsError) as caught:
            made.walk()
        assert PROXY_PASSWORD not in shown(caught.value) + "".join(made.log)


@pytest.mark.parametrize(
    "url", ["http://acme.zendesk.com", "http://127.0.0.1.evil.example", "ftp://localhost", "http://10.0.0.1"]
)
@pytest.mark.parametrize("kind", list(KINDS))
def test_no_client_is_made_that_would_send_credentials_in_the_open(url, kind):
    with ScriptedServer() as server, pytest.raises(UsageError, match="ZENDESK_BASE_URL must begin with https://"):
        Bench(server, KINDS[kind], base_url=url)


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\nb", "a b", "é", "a\x00", ""])
def test_a_token_that_would_add_a_header_is_refused_and_not_shown(token):
    with ScriptedServer() as server, pytest.raises(UsageError, match="ZENDESK_OAUTH_TOKEN holds a character") as caught:
        Bench(server, BearerToken(token))
    assert "Evil" not in str(caught.value)


def test_odd_credentials_are_encoded_and_add_no_header_or_field():
    odd = "a&scope=write\r\nX-Evil: 1 é+%"
    with bench(GRANT, last_page(), credentials=ClientCredentials(odd, odd)) as made:
        made.walk()
        sent = json.loads(made.server.requests[0].body)
    assert (sent["client_id"], sent["client_secret"], sent["scope"]) == (odd, odd, "read")
    with bench(last_page(), credentials=Password("a@example.com", odd)) as made:
        made.walk()
        (request,) = made.server.requests
    assert "x-evil" not in request.headers
    assert base64.b64decode(request.headers["authorization"][6:]).decode() == f"a@example.com:{odd}"


ECHOES = {
    "token": SECRET,
    "client": f"{SECRET} and granted-{SECRET}",
    "api token": f"{SECRET} and {base64.b64encode(f'a@example.com/token:{SECRET}'.encode()).decode()}",
    "password": f"{SECRET}<é&'\"> and " + base64.b64encode(f"a@example.com:{SECRET}<é&'\">".encode()).decode(),
}
CODED = [base64.b64encode(text.encode()).decode()[:24] for text in (f"a@example.com/token:{SECRET}", f"a@example.com:{SECRET}")]
"""The beginnings of what Basic sends, the e-mail address and more."""

FAILURES = {
    "refused": lambda echo: [(401, {}, echo), GRANT, (401, {}, echo)],
    "forbidden": lambda echo: [(403, {}, {"error": {"title": "No", "message": echo}})],
    "broken": lambda echo: [(500, {}, echo)] * 24,
    "reset": lambda _: [reset()] * 24,
    "cut": lambda _: [cut(b"{}" * 9, 1)] * 24,
    "garbage": lambda _: [garbage(b"\x00\r\n\r\n")] * 24,
    "moved": lambda echo: [(302, {"Location": "https://elsewhere.invalid/"}, echo)],
    "unreadable": lambda echo: [(200, {}, echo)] * 24,
}
TOKEN_FAILURES: dict[str, Item] = {
    "refused grant": (401, {}, {"error": "invalid_client", "error_description": ECHOES["client"]}),
    "broken grant": (503, {}, SECRET),
    "moved grant": (302, {"Location": "https://elsewhere.invalid/"}, SECRET),
    "unreadable grant": (200, {}, ECHOES["client"]),
    "token of two lines": (200, {}, {"access_token": f"{SECRET}\n{SECRET}"}),
    "no token": (200, {}, {"error": SECRET}),
    "cut grant": cut(json.dumps({"access_token": SECRET}).encode(), 25),
    "reset grant": reset(),
}


def is_hidden_in(made: Bench, error: BaseException) -> bool:
    shown_text = shown(error) + "".join(made.log) + repr(vars(made.client))
    return not any(secret in shown_text for secret in [SECRET, *CODED])


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("failure", list(FAILURES))
def test_no_error_shows_a_credential_not_even_in_the_variables_of_its_frames(kind, failure):
    script = ([GRANT] if kind == "client" else []) + FAILURES[failure](ECHOES[kind])
    with bench(*script, credentials=KINDS[kind]) as made:
        with pytest.raises(TicketEventsError) as caught:
            made.walk()
        assert is_hidden_in(made, caught.value)


@pytest.mark.parametrize("failure", list(TOKEN_FAILURES))
def test_no_error_of_the_token_endpoint_shows_a_credential(failure):
    with bench(*[TOKEN_FAILURES[failure]] * 24, credentials=KINDS["client"]) as made:
        with pytest.raises(TicketEventsError, match="/oauth/tokens") as caught:
            made.walk()
        assert is_hidden_in(made, caught.value)


@pytest.mark.parametrize("echo", ["<pass&word", "&lt;pass&amp;word", "%3Cpass%26word", "\\u00fc", "%C3%BC"])
def test_a_password_that_a_server_repeats_in_another_spelling_is_hidden_too(echo):
    password = Password("a@example.com", "<pass&word" if "pass" in echo else "ü")
    with (
        bench((403, {}, f"your password {echo} is old"), credentials=password) as made,
        pytest.raises(TicketEventsError, match=r"your password \[hidden\] is old"),
    ):
        made.walk()


VARIABLES = {"ZENDESK_SUBDOMAIN": "acme", "ZENDESK_OAUTH_CLIENT_ID": "id", "ZENDESK_OAUTH_CLIENT_SECRET": SECRET}


def test_settings_and_resource_show_no_credential(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    settings, resource = load_settings(VARIABLES), pipeline_resource(account_scope())
    assert settings.credentials == ClientCredentials("id", SECRET)
    assert SECRET not in repr(settings) + repr(resource) + repr(vars(resource)) + repr(account_scope())
    assert resource.config_schema.config_type.key == "Any"  # as every resource without fields


RESOURCES = """{ repositoriesOrError { ... on RepositoryConnection { nodes { allTopLevelResourceDetails {
  name description configFields { name } configuredValues { key value type } } } } } }"""


@pytest.mark.slow
def test_the_resource_view_of_the_ui_shows_no_credential(tmp_path):
    """By the request that the browser sends, with every variable set."""
    place = new_place(tmp_path, **VARIABLES)
    ended = place.run("dagster-graphql", "-m", DEFINITIONS, "-t", RESOURCES)
    assert ended.code == 0, ended.output
    assert '"name": "pipeline"' in ended.output
    assert '"configFields": []' in ended.output
    assert SECRET not in ended.output
    assert place.holds(SECRET) == []


EVIL = ["../../../../etc/passwd", "/etc/passwd", "a/../b", "..", "C:\\x", "\x00", "date=2026-01-01", "\u202e", "x" * 5000]


@pytest.mark.parametrize("stream", ["ticket_events", "ticket_metric_events"])
def test_no_value_of_a_row_becomes_a_path_and_all_files_are_their_owners_alone(tmp_path, stream):
    """Under the laxest umask, in a root that was there before, whose own mode is left as it was."""
    start = Day.parse("2026-03-02").start
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    rows = [ROW_OF[stream](n, start + n) | {"metric": evil, "type": evil, "via": evil} for n, evil in enumerate(EVIL, 1)]
    lost = [{"id": evil, "timestamp": start, "time": evil, "event_type": evil} for evil in EVIL]
    clock = Moment(start + 3 * 86_400)
    before = set(os.listdir(tmp_path))
    umask = os.umask(0)
    try:
        with SandboxServer(RecordedAccount({stream: [*rows, *lost]}), clock=clock) as server:
            fetch(server, root, stream, "2026-03-02", "2026-03-02", clock=clock)
    finally:
        os.umask(umask)
    assert set(os.listdir(tmp_path)) == before
    made = [path for path in root.rglob("*") if "_inflight" not in path.parts]
    files = sorted(path.relative_to(root).as_posix() for path in made if path.is_file())
    assert len(files) == 2
    assert re.fullmatch(rf"_rejected/{stream}/[0-9]+-[0-9a-f]+\.jsonl", files[0])
    assert files[1] == f"{stream}/date=2026-03-02/{stream}.parquet"
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()} <= {0o600}


@given(
    st.text(max_size=12)
    | st.sampled_from(["../2026-03-02", "2026-03-02/..", "2026-03-02\n", "\uff12026-03-02", "2026-03-02\x00"])
)
def test_a_partition_is_a_date_or_no_partition_at_all(text):
    """So that a path made of one has three parts, and never leads upwards."""
    path = None
    try:
        path = partition_path("ticket_events", Day.parse(text))
    except ValueError:
        path = "ticket_events/date=2026-03-02/ticket_events.parquet"
    assert re.fullmatch(r"ticket_events/date=[0-9]{4}-[0-9]{2}-[0-9]{2}/ticket_events\.parquet", path)


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    """Its target belongs to another program."""
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"precious")
    store = FolderStore(tmp_path / "root")
    place = tmp_path / "root" / "asset" / "file"
    place.parent.mkdir(parents=True)
    place.symlink_to(theirs)
    with store.writer("asset/file") as file:
        file.write(b"ours")
    assert (theirs.read_bytes(), place.read_bytes(), place.is_symlink()) == (b"precious", b"ours", False)


def test_a_root_that_is_a_link_is_the_folder_that_it_leads_to(tmp_path):
    """The owner may have put it on another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    store = FolderStore(tmp_path / "root")
    with store.writer("asset/file") as file:
        file.write(b"ours")
    assert store.paths("asset") == ["asset/file"]
    assert (tmp_path / "disk" / "asset" / "file").read_bytes() == b"ours"
