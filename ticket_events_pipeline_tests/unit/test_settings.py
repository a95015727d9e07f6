"""Settings: defaults, every rule, every problem at once, and no secret anywhere."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.credentials import (
    ApiToken,
    BearerToken,
    ClientCredentials,
    Credentials,
    Password,
    SandboxToken,
    Server,
)
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import SettingsError, UsageError
from ticket_events_pipeline.settings import Settings, load_settings, partition_settings, root_settings

ACME = {"ZENDESK_SUBDOMAIN": "acme", "ZENDESK_OAUTH_TOKEN": "hush"}


def problems(env: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(env)
    return caught.value.problems


def test_the_defaults() -> None:
    """A subdomain and a token are enough."""
    assert load_settings(ACME) == Settings(
        server=Server("https://acme.zendesk.com", BearerToken("hush")),
        subdomain="acme",
        is_sandbox=False,
        requests_per_minute=10,
        timeout_seconds=60,
        include_comments=False,
        root=os.path.abspath("data"),
        start_date=dt.date(2025, 1, 1),
        timezone="UTC",
        restate_days=3,
        support_type_scope="agent",
        warnings=(),
    )


def test_everything_set() -> None:
    """Each variable sets its setting; surrounding blanks are ignored."""
    settings = load_settings(
        {
            **ACME,
            "ZENDESK_SUBDOMAIN": " ACME\n",
            "ZENDESK_BASE_URL": "https://proxy.example/zendesk/",
            "ZENDESK_REQUESTS_PER_MINUTE": "30",
            "ZENDESK_TIMEOUT_SECONDS": "5",
            "ZENDESK_INCLUDE_COMMENTS": "1",
            "ZENDESK_SUPPORT_TYPE_SCOPE": " AI_agent ",
            "TICKET_EVENTS_ROOT": "s3://bucket/prefix",
            "TICKET_EVENTS_START_DATE": "2026-03-02",
            "TICKET_EVENTS_TIMEZONE": "Europe/Berlin",
            "TICKET_EVENTS_RESTATE_DAYS": "7",
        }
    )
    assert settings == Settings(
        server=Server("https://proxy.example/zendesk", BearerToken("hush")),
        subdomain="acme",
        is_sandbox=False,
        requests_per_minute=30,
        timeout_seconds=5,
        include_comments=True,
        root="s3://bucket/prefix",
        start_date=dt.date(2026, 3, 2),
        timezone="Europe/Berlin",
        restate_days=7,
        support_type_scope="ai_agent",
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ZENDESK_OAUTH_TOKEN": "s1"}, BearerToken("s1")),
        ({"ZENDESK_OAUTH_TOKEN": "s1", "ZENDESK_EMAIL": "a@b.c"}, BearerToken("s1")),
        ({"ZENDESK_OAUTH_CLIENT_ID": "id", "ZENDESK_OAUTH_CLIENT_SECRET": "s1"}, ClientCredentials("id", "s1")),
        ({"ZENDESK_EMAIL": "a@b.c", "ZENDESK_API_TOKEN": "s1"}, ApiToken("a@b.c", "s1")),
        ({"ZENDESK_EMAIL": "a@b.c", "ZENDESK_PASSWORD": "s1 ü"}, Password("a@b.c", "s1 ü")),
        ({"ZENDESK_EMAIL": "a@b.c", "ZENDESK_PASSWORD": "s1", "ZENDESK_OAUTH_TOKEN": "  "}, Password("a@b.c", "s1")),
    ],
)
def test_each_kind_of_credentials_and_no_secret_in_any_repr(variables: dict[str, str], expected: Credentials) -> None:
    """The values of the four kinds are shown nowhere."""
    settings = load_settings({"ZENDESK_SUBDOMAIN": "acme", **variables})
    assert settings.credentials == expected
    assert "s1" not in f"{settings!r}{settings}{settings.credentials!r}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ZENDESK_API_TOKEN", ("unused for 30 days", "off for a month", "60 days later", "2026-10-27", "2027-04-30")),
        ("ZENDESK_PASSWORD", ("for all accounts at the end of 2025",)),
    ],
)
def test_credentials_that_end_are_warned_of(name: str, words: tuple[str, ...]) -> None:
    """A warning states when and how they expire, and the replacement."""
    [warning] = load_settings({"ZENDESK_SUBDOMAIN": "acme", "ZENDESK_EMAIL": "a@b.c", name: "s1"}).warnings
    for word in (*words, name, "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"):
        assert word in warning
    assert "s1" not in warning


def test_with_nothing_set_the_message_names_all_kinds_of_credentials() -> None:
    """The message is the set-up guide: the client for scheduled runs comes first."""
    subdomain, credentials = problems({})
    assert subdomain.startswith("ZENDESK_SUBDOMAIN is not set")
    names = ("ZENDESK_OAUTH_CLIENT_ID", "ZENDESK_OAUTH_TOKEN", "ZENDESK_API_TOKEN", "ZENDESK_SANDBOX=1")
    places = [credentials.index(name) for name in names]
    assert places == sorted(places)
    assert "ZENDESK_PASSWORD" not in credentials


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ZENDESK_SUBDOMAIN": "acme.zendesk.com"}, "ZENDESK_SUBDOMAIN: give the first part"),
        ({"ZENDESK_SUBDOMAIN": "evil.example/"}, "ZENDESK_SUBDOMAIN: "),
        ({"ZENDESK_SUBDOMAIN": "-acme"}, "ZENDESK_SUBDOMAIN: "),
        ({"ZENDESK_BASE_URL": "http://acme.zendesk.com"}, "ZENDESK_BASE_URL: must begin with https://"),
        ({"ZENDESK_BASE_URL": "http://127.0.0.1.evil.example"}, "ZENDESK_BASE_URL: must begin with https://"),
        ({"ZENDESK_BASE_URL": "ftp://localhost"}, "ZENDESK_BASE_URL: must begin with https://"),
        ({"ZENDESK_BASE_URL": "acme"}, "ZENDESK_BASE_URL: is not a URL"),
        ({"ZENDESK_BASE_URL": "https://[::1"}, "ZENDESK_BASE_URL: is not a URL"),
        ({"ZENDESK_BASE_URL": "https://a:99999"}, "ZENDESK_BASE_URL: is not a URL"),
        ({"ZENDESK_BASE_URL": "https://me:hush@acme.zendesk.com"}, "ZENDESK_BASE_URL: give scheme, host and path only"),
        ({"ZENDESK_BASE_URL": "https://acme.zendesk.com/api/v2/"}, "ZENDESK_BASE_URL: give it without /api/v2"),
        ({"ZENDESK_REQUESTS_PER_MINUTE": "0"}, "ZENDESK_REQUESTS_PER_MINUTE: '0'"),
        ({"ZENDESK_REQUESTS_PER_MINUTE": "٣"}, "ZENDESK_REQUESTS_PER_MINUTE: "),
        ({"ZENDESK_TIMEOUT_SECONDS": "soon"}, "ZENDESK_TIMEOUT_SECONDS: 'soon'"),
        ({"ZENDESK_INCLUDE_COMMENTS": "maybe"}, "ZENDESK_INCLUDE_COMMENTS: 'maybe'"),
        ({"ZENDESK_SUPPORT_TYPE_SCOPE": "bot"}, "ZENDESK_SUPPORT_TYPE_SCOPE: 'bot' is none of agent, all, ai_agent"),
        ({"ZENDESK_SANDBOX": "2"}, "ZENDESK_SANDBOX: '2'"),
        ({"TICKET_EVENTS_START_DATE": "20260302"}, "TICKET_EVENTS_START_DATE: '20260302'"),
        ({"TICKET_EVENTS_START_DATE": "0001-01-01"}, "TICKET_EVENTS_START_DATE: '0001-01-01' is outside"),
        ({"TICKET_EVENTS_TIMEZONE": "Mars"}, "TICKET_EVENTS_TIMEZONE: 'Mars'"),
        ({"TICKET_EVENTS_TIMEZONE": "../etc"}, "TICKET_EVENTS_TIMEZONE: "),
        ({"TICKET_EVENTS_RESTATE_DAYS": "-1"}, "TICKET_EVENTS_RESTATE_DAYS: '-1'"),
        ({"TICKET_EVENTS_ROOT": "s3://key:hush@bucket"}, "TICKET_EVENTS_ROOT: holds a secret"),
        ({"TICKET_EVENTS_ROOT": "s3://hush@bucket/p"}, "TICKET_EVENTS_ROOT: names no bucket: s3://bucket/prefix is expected"),
        ({"TICKET_EVENTS_ROOT": "s3:///prefix"}, "TICKET_EVENTS_ROOT: names no bucket"),
        ({"TICKET_EVENTS_ROOT": "abfss://c@account/hush~"}, "TICKET_EVENTS_ROOT: has a prefix that isn't made of letters"),
        ({"TICKET_EVENTS_ROOT": "gs://b/p/../q"}, "TICKET_EVENTS_ROOT: has a prefix"),
        ({"TICKET_EVENTS_ROOT": "gs://b/p//q"}, "TICKET_EVENTS_ROOT: has a prefix"),
        ({"TICKET_EVENTS_ROOT": "s3://b/p?secret_access_key=hush"}, "TICKET_EVENTS_ROOT: takes no options"),
        ({"TICKET_EVENTS_ROOT": "https://me:hush@host/b"}, "TICKET_EVENTS_ROOT: https:// can't hold the files"),
        ({"ZENDESK_OAUTH_TOKEN": "hu sh"}, "ZENDESK_OAUTH_TOKEN: contains a character"),
        ({"ZENDESK_OAUTH_CLIENT_ID": "id"}, "2 sets of credentials are set, ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_TOKEN"),
        ({"ZENDESK_API_TOKEN": "x"}, "2 sets of credentials"),
        ({"ZENDESK_SANDBOX": "1"}, "ZENDESK_SANDBOX=1 takes no credentials: unset ZENDESK_OAUTH_TOKEN"),
    ],
)
def test_one_wrong_variable(variables: dict[str, str], words: str) -> None:
    """One problem, one sentence that names it, and no secret in it."""
    [problem] = problems({**ACME, **variables})
    assert words in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ZENDESK_EMAIL": "a@b.c"}, "ZENDESK_EMAIL is set without ZENDESK_API_TOKEN"),
        ({"ZENDESK_API_TOKEN": "hush"}, "ZENDESK_EMAIL is not set"),
        ({"ZENDESK_OAUTH_CLIENT_SECRET": "hush"}, "ZENDESK_OAUTH_CLIENT_ID is not set"),
        (
            {"ZENDESK_EMAIL": "a@b.c/token", "ZENDESK_API_TOKEN": "hush"},
            "ZENDESK_EMAIL: is not an e-mail address (give it without",
        ),
        ({"ZENDESK_EMAIL": "a@b.c", "ZENDESK_PASSWORD": "hush\x07hush"}, "ZENDESK_PASSWORD: contains a line end"),
        ({"ZENDESK_EMAIL": "a@b.c", "ZENDESK_PASSWORD": "hush", "ZENDESK_API_TOKEN": "hush"}, "2 sets of credentials"),
    ],
)
def test_incomplete_credentials(variables: dict[str, str], words: str) -> None:
    """Missing variables are named, and existing values aren't quoted."""
    [problem] = problems({"ZENDESK_SUBDOMAIN": "acme", **variables})
    assert words in problem
    assert "hush" not in problem


def test_a_blank_support_type_scope_is_unset() -> None:
    """Like every blank variable."""
    assert load_settings({**ACME, "ZENDESK_SUPPORT_TYPE_SCOPE": " "}).support_type_scope == "agent"


def test_all_problems_are_reported_at_once() -> None:
    """One error with a line for each problem."""
    found = problems({"ZENDESK_SUBDOMAIN": "a b", "ZENDESK_TIMEOUT_SECONDS": "x", "TICKET_EVENTS_TIMEZONE": "x"})
    assert [problem.split(":")[0] for problem in found] == [
        "ZENDESK_SUBDOMAIN",
        "TICKET_EVENTS_TIMEZONE",
        "no credentials are set",
        "ZENDESK_TIMEOUT_SECONDS",
    ]


@pytest.mark.parametrize(
    ("base_url", "account"),
    [
        ("https://acme.zendesk.com", "acme"),
        ("https://Acme.zendesk.com:8443/x", "acme"),
        ("https://proxy.example:8443/zendesk", "proxy.example"),
        ("http://localhost:1", "localhost"),
        ("http://[::1]:1", "::1"),
        ("http://127.3.2.1", "127.3.2.1"),
    ],
)
def test_the_account_of_a_base_url(base_url: str, account: str) -> None:
    """The host without its port; of zendesk.com hosts the subdomain."""
    settings = load_settings({"ZENDESK_BASE_URL": base_url, "ZENDESK_OAUTH_TOKEN": "hush"})
    assert (settings.account, settings.base_url) == (account, base_url)


def test_the_sandbox_needs_no_other_variable() -> None:
    """Its server starts later; its files are in a separate folder."""
    settings = load_settings({"ZENDESK_SANDBOX": "1", "TICKET_EVENTS_ROOT": "/r", "ZENDESK_SUBDOMAIN": "acme"})
    assert (settings.account, settings.root, settings.server) == ("sandbox", "/r/sandbox", None)
    assert "ZENDESK_SUBDOMAIN ignored" in settings.warnings[0]
    with pytest.raises(UsageError, match="not been started"):
        _ = settings.base_url
    started = settings.with_server("http://127.0.0.1:1/")
    assert started == dataclasses.replace(settings, server=Server("http://127.0.0.1:1", BearerToken("sandbox")))


def test_real_credentials_go_to_no_handed_in_server() -> None:
    """Only the sandbox accepts a server as an argument."""
    with pytest.raises(UsageError):
        load_settings(ACME).with_server("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("gs://b/p/", "gs://b/p/sandbox"),
        ("S3://b", "s3://b/sandbox"),
        ("abfss://container@account.dfs.core.windows.net/p", "abfss://container@account.dfs.core.windows.net/p/sandbox"),
        ("/data/", "/data/sandbox"),
        ("rel", os.path.abspath("rel/sandbox")),
        ("~/events", os.path.expanduser("~/events/sandbox")),
    ],
)
def test_the_sandboxs_root(root: str, expected: str) -> None:
    """A separate folder below the root, for any kind of root."""
    assert load_settings({"ZENDESK_SANDBOX": "1", "TICKET_EVENTS_ROOT": root}).root == expected


def test_partitions_need_no_credentials() -> None:
    """Definitions load without any variable, and with contradictory ones."""
    assert partition_settings({}) == (dt.date(2025, 1, 1), "UTC")
    env = {"ZENDESK_TIMEOUT_SECONDS": "x", "TICKET_EVENTS_START_DATE": "2026-01-05", "TICKET_EVENTS_TIMEZONE": "Asia/Tokyo"}
    assert partition_settings(env) == (dt.date(2026, 1, 5), "Asia/Tokyo")
    with pytest.raises(SettingsError, match="TICKET_EVENTS_TIMEZONE"):
        partition_settings({"TICKET_EVENTS_TIMEZONE": "nowhere"})


def test_the_sandbox_begins_thirty_days_ago_or_with_its_oldest_stored_day(tmp_path: Path) -> None:
    """A stored day stays a partition from day to day; an account, and a date that is set, are not affected."""
    sandbox = {"ZENDESK_SANDBOX": "1", "TICKET_EVENTS_ROOT": str(tmp_path)}
    today = Day.containing(wall_clock())
    assert partition_settings(sandbox).start_date == today.plus(-29).date == load_settings(sandbox).start_date
    oldest = today.plus(-45)
    for asset, day in (("ticket_events", str(oldest)), ("sla_clocks", str(today)), ("_rejected", "2001-01-01")):
        (tmp_path / "sandbox" / asset / f"date={day}").mkdir(parents=True)
    assert partition_settings(sandbox).start_date == oldest.date
    assert partition_settings({**sandbox, "TICKET_EVENTS_START_DATE": "2026-01-05"}).start_date == dt.date(2026, 1, 5)
    assert partition_settings({**sandbox, "ZENDESK_SANDBOX": "0"}).start_date == dt.date(2025, 1, 1)
    assert partition_settings({**sandbox, "TICKET_EVENTS_ROOT": "s3://bucket/x"}).start_date == today.plus(-29).date


NAMES = [
    "ZENDESK_SUBDOMAIN",
    "ZENDESK_BASE_URL",
    "ZENDESK_FORMER_SUBDOMAINS",
    "ZENDESK_OAUTH_TOKEN",
    "ZENDESK_OAUTH_CLIENT_ID",
    "ZENDESK_OAUTH_CLIENT_SECRET",
    "ZENDESK_EMAIL",
    "ZENDESK_API_TOKEN",
    "ZENDESK_PASSWORD",
    "ZENDESK_SANDBOX",
    "ZENDESK_REQUESTS_PER_MINUTE",
    "ZENDESK_TIMEOUT_SECONDS",
    "ZENDESK_INCLUDE_COMMENTS",
    "ZENDESK_SUPPORT_TYPE_SCOPE",
    "TICKET_EVENTS_ROOT",
    "TICKET_EVENTS_START_DATE",
    "TICKET_EVENTS_TIMEZONE",
    "TICKET_EVENTS_RESTATE_DAYS",
]
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", "1", "acme", "https://h", "http://[", "a@b.c", "9" * 5000, "2026-01-01", "UTC", "s3://a:b@", "\ud800"]
    ),
)


@hypothesis.settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_environment_gives_settings_or_one_settings_error(env: dict[str, str]) -> None:
    """Nothing else is ever raised."""
    try:
        settings = load_settings(env)
    except SettingsError as error:
        outcome: object = error.problems
    else:
        outcome = settings.account and settings.root
    assert outcome


def test_the_goal_is_95_percent_unless_another_is_set() -> None:
    assert root_settings({}).goal_percent == 95.0
    assert root_settings({"TICKET_EVENTS_GOAL_PERCENT": "97.5"}).goal_percent == 97.5


@pytest.mark.parametrize("text", ["0", "100.5", "95%", "0.95.1", "-1", "nan", "١٢"])
def test_a_goal_that_is_no_percentage_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"TICKET_EVENTS_GOAL_PERCENT: .* is not a percentage"):
        root_settings({"TICKET_EVENTS_GOAL_PERCENT": text})


def test_the_reports_address_has_no_trailing_slash() -> None:
    assert (
        root_settings({"TICKET_EVENTS_REPORT_URL": "https://sla.example/reports/"}).report_url == "https://sla.example/reports"
    )


@pytest.mark.parametrize(
    "text", ["sla.example", "ftp://sla.example", "https://me:secret@sla.example", "https://sla.example/a b>"]
)
def test_what_is_no_address_of_the_reports_is_named_and_not_quoted(text: str) -> None:
    with pytest.raises(SettingsError, match="TICKET_EVENTS_REPORT_URL") as raised:
        root_settings({"TICKET_EVENTS_REPORT_URL": text})
    assert "example" not in str(raised.value).replace("https://host", "")


SERVICE = {"ZENDESK_SANDBOX": "1", "ZENDESK_SANDBOX_URL": "http://sandbox:8743/", "ZENDESK_SANDBOX_TOKEN": "hush"}


def test_a_sandbox_that_runs_as_a_service_has_the_sandboxs_files_and_quota() -> None:
    """Only its server differs from the embedded one's."""
    settings = load_settings({**SERVICE, "TICKET_EVENTS_ROOT": "/r"})
    assert settings.server == Server("http://sandbox:8743", SandboxToken("hush"))
    embedded = load_settings({"ZENDESK_SANDBOX": "1", "TICKET_EVENTS_ROOT": "/r"})
    assert dataclasses.replace(settings, server=None) == embedded
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ZENDESK_SANDBOX": "", "ZENDESK_SUBDOMAIN": "acme", "ZENDESK_OAUTH_TOKEN": "hush"}, "is only for ZENDESK_SANDBOX=1"),
        ({"ZENDESK_OAUTH_TOKEN": "hush"}, "ZENDESK_SANDBOX=1 takes no credentials"),
        ({"ZENDESK_SANDBOX_TOKEN": " "}, "ZENDESK_SANDBOX_TOKEN is not set"),
        ({"ZENDESK_SANDBOX_TOKEN": "hush hush"}, "ZENDESK_SANDBOX_TOKEN: contains a character"),
        ({"ZENDESK_SANDBOX_URL": "sandbox:8743"}, "ZENDESK_SANDBOX_URL: "),
        ({"ZENDESK_SANDBOX_URL": "ftp://sandbox"}, "ZENDESK_SANDBOX_URL: give scheme, host and port only"),
        ({"ZENDESK_SANDBOX_URL": "http://hush:hush@sandbox"}, "ZENDESK_SANDBOX_URL: give scheme, host and port only"),
        ({"ZENDESK_SANDBOX_URL": "http://sandbox/api/v2"}, "ZENDESK_SANDBOX_URL: give scheme, host and port only"),
        ({"ZENDESK_SANDBOX_URL": "http://Acme.Zendesk.com"}, "set ZENDESK_SUBDOMAIN instead"),
        ({"ZENDESK_SANDBOX_URL": "http://zendesk.com"}, "set ZENDESK_SUBDOMAIN instead"),
    ],
)
def test_what_names_no_sandbox_service(variables: dict[str, str], words: str) -> None:
    """Each is one problem, which doesn't quote a value."""
    [problem] = problems({**SERVICE, **variables})
    assert words in problem
    assert "hush" not in problem


def test_a_token_alone_names_no_service() -> None:
    """The sandbox's own container has it, too."""
    assert load_settings({"ZENDESK_SANDBOX": "1", "ZENDESK_SANDBOX_TOKEN": "hush"}).server is None
