"""The checks of `ticket-events doctor`: each looks at one thing and yields findings, each with its fix.

A check that can't look, because an earlier one has failed, yields nothing. A further check is one more function in CHECKS.
"""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ticket_events_pipeline.alerts.destinations import NOTIFY_URLS, WEBHOOK
from ticket_events_pipeline.alerts.settings import alert_settings
from ticket_events_pipeline.alerts.warning_settings import warning_settings
from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.cli.dagster_yaml import old_dagster_yaml, postgres_address, unset_variables
from ticket_events_pipeline.cli.old_files import days_without_ticket_tables, old_files
from ticket_events_pipeline.cli.variables import unknown_variables
from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import AuthenticationError, BlockedError, SettingsError, TicketEventsError
from ticket_events_pipeline.ingest.ownership import refuse_foreign_files
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import Log, Pipeline, pipeline_of
from ticket_events_pipeline.quality.traffic import APPLY_TYPES, day_traffic
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, SLA_STREAMS, STREAMS, Stream
from ticket_events_pipeline.text import duration_text, plural
from ticket_events_pipeline.zendesk.client import CHECK_AGE_SECONDS, ZendeskClient
from ticket_events_pipeline.zendesk.headers import QuotaHeader
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline.zendesk.shared_rate_limit import PLENTY, Quota
from ticket_events_pipeline.zendesk.token_end import TokenEnd

CONNECT_SECONDS = 4.0
"""How long a connection to a server may take: the slowest network needs one second."""

QUIET_SECONDS = 7 * 86_400
"""Where the last hour has no event, the page from a week ago shows whether there is any."""

_SMALL_PAGE = 100
_SSL_REQUEST = (8).to_bytes(4) + (80_877_103).to_bytes(4)
# Where the sentences of a message begin to say what to do.
_ADVICE = re.compile(
    r"(?:(?<=[.)]) |: |; )(?=(?:[Aa]dd|[Aa]sk|[Cc]heck|[Gg]ive|[Ii]nstall|[Kk]eep|[Mm]ake|[Mm]aterialize|[Pp]ut|[Ss]et|[Tt]ry|"
    r"[Uu]nset|[Uu]pgrade|[Uu]se|pip install)\b)"
)


class Status(StrEnum):
    """What a finding means for a run."""

    OK = "ok"
    NOTE = "note"
    FAILED = "FAIL"


@dataclass(frozen=True)
class Finding:
    """The result of a check: what was found, and for anything but `ok` what to do, if anything can be done."""

    check: str
    status: Status
    text: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding for a script."""
        return {"check": self.check, "status": self.status.value, "text": self.text, "fix": self.fix}

    @classmethod
    def failed(cls, check: str, message: str) -> Finding:
        """A failure whose message ends with what to do."""
        text, fix = split_advice(message)
        return cls(check, Status.FAILED, text, fix)


def split_advice(message: str) -> tuple[str, str]:
    """A message in two: what happened, and what to do about it (empty if it doesn't say)."""
    found = _ADVICE.search(message)
    if found is None:
        return message, ""
    fix = message[found.end() :]
    return message[: found.start()].rstrip(), fix[:1].upper() + fix[1:] if not fix.startswith("pip ") else fix


@dataclass
class Answers:
    """What the account answered.

    Attributes:
        pages: of each stream that could be read, the newest page that was asked for.
        failures: of each stream that couldn't, why.
        requests: how many requests it took.
        token_end: when the fixed token ends, if one is used.
        asked_at: by stream, epoch seconds of this machine before and after the last request.
    """

    pages: dict[str, EventPage] = field(default_factory=dict)
    failures: dict[str, TicketEventsError] = field(default_factory=dict)
    requests: int = 0
    token_end: TokenEnd | None = None
    asked_at: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def quota(self) -> QuotaHeader | None:
        """What the last answer says of the export quota."""
        stated = [page.quota for page in self.pages.values() if page.quota is not None]
        return stated[-1] if stated else None


class Deployment:
    """What the checks look at: the variables, the root and the account; each is tried once."""

    def __init__(self, variables: Mapping[str, str], *, log: Log, adopts_home: bool = False) -> None:
        self.variables = variables
        self.adopts_home = adopts_home
        self.log = log
        self.pipeline: Pipeline = pipeline_of(variables, log=log)

    @functools.cached_property
    def are_settings_valid(self) -> bool:
        """Whether the variables of a fetch are set and agree."""
        try:
            self.pipeline.checked()
        except SettingsError:
            return False
        return True

    @functools.cached_property
    def root_problem(self) -> TicketEventsError | None:
        """Why the root can't be used; None if it can."""
        try:
            self.pipeline.store.check()
        except TicketEventsError as error:
            return error
        return None

    @functools.cached_property
    def database_problem(self) -> str:
        """Why the Postgres of DAGSTER_HOME can't be reached, and what to do; empty if it can, or if there is none."""
        path = Path(self.variables.get("DAGSTER_HOME", "").strip()) / "dagster.yaml"
        if unset := unset_variables(path, self.variables):
            return f"{path} refers to variables that are not set: {', '.join(unset)}. Set them here, too."
        address = postgres_address(path, self.variables)
        if address is None:
            return ""
        try:
            in_time(lambda: _greet_postgres(address), seconds=2 * CONNECT_SECONDS)
        except (OSError, UnicodeError) as error:  # TimeoutError is one
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return (
                f"Postgres doesn't answer at {address[0]}:{address[1]} ({reason}). Check that it runs, its listen_addresses, "
                "the firewall between here and there, and the host and port in dagster.yaml."
            )
        return ""

    @functools.cached_property
    def answers(self) -> Answers:
        """Both streams, read with as few requests as show something."""
        answers = Answers()
        settings = self.pipeline.reachable_settings
        # Without a root, the quota can't be shared; the root's own check says so.
        alone = Quota(settings.requests_per_minute, log=self.log) if self.root_problem else None
        with suppress(TicketEventsError), self.pipeline.client(self.log, quota=alone) as client:
            self._read_streams(client, answers)
            if answers.pages and isinstance(settings.credentials, BearerToken) and not settings.is_sandbox:
                answers.token_end = client.token_end()
        return answers

    def _read_streams(self, client: ZendeskClient, answers: Answers) -> None:
        for stream in STREAMS.values():
            try:
                self._read_newest(client, stream, answers)
            except TicketEventsError as error:
                answers.failures[stream.name] = error
                if isinstance(error, AuthenticationError | BlockedError):  # the other stream would say the same
                    break
            finally:
                answers.requests = client.requests_made

    def _read_newest(self, client: ZendeskClient, stream: Stream, answers: Answers) -> None:
        for age_seconds in (CHECK_AGE_SECONDS, QUIET_SECONDS):
            begun_at = wall_clock()
            page = client.check(stream, age_seconds=age_seconds, rows=_SMALL_PAGE)
            answers.pages[stream.name] = page
            answers.asked_at[stream.name] = (begun_at, wall_clock())
            if page.rows:
                return


def _greet_postgres(address: tuple[str, int]) -> None:
    """Ask whether the server speaks TLS, as every client of Postgres may: the answer is a letter, and needs no password.

    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
    """
    with socket.create_connection(address, timeout=CONNECT_SECONDS) as connection:
        connection.sendall(_SSL_REQUEST)
        if connection.recv(1) not in (b"S", b"N"):
            raise ConnectionError("it is another kind of server")


def check_variables(deployment: Deployment) -> Iterator[Finding]:
    """The variables that a fetch needs."""
    try:
        settings = deployment.pipeline.settings
    except SettingsError as error:
        yield from (Finding.failed("variables", problem) for problem in error.problems)
        return
    first = "" if deployment.variables.get("TICKET_EVENTS_START_DATE", "").strip() else " (the default)"
    yield Finding(
        "variables",
        Status.OK,
        f"variables: account {settings.account}, days of {settings.timezone}, the first one {settings.start_date}{first}",
    )
    for warning in settings.warnings:
        yield Finding("variables", Status.NOTE, *split_advice(warning))


def check_names(deployment: Deployment) -> Iterator[Finding]:
    """Variables that look like ours and that nothing reads."""
    for name, nearest in unknown_variables(deployment.variables).items():
        guess = f"did you mean {nearest}?" if nearest else "nothing reads it."
        yield Finding("names", Status.NOTE, f"{name} is unknown: {guess}", f"Rename it to {nearest}." if nearest else "")


def check_alerts(deployment: Deployment) -> Iterator[Finding]:
    """The variables of the alerts."""
    has_destination = any(deployment.variables.get(name, "").strip() for name in (WEBHOOK, NOTIFY_URLS))
    try:
        settings = alert_settings(deployment.variables)
    except SettingsError as error:
        is_missing = f"{WEBHOOK} is not set, and"
        problems = [problem for problem in error.problems if has_destination or not problem.startswith(is_missing)]
        yield from (Finding.failed("alerts", problem) for problem in problems)
        if not problems:
            yield Finding("alerts", Status.OK, f"alerts: none, neither {WEBHOOK} nor {NOTIFY_URLS} is set")
        return
    yield from (Finding.failed("alerts", problem) for problem in settings.problems)
    found = plural(len(settings.destinations) - len(settings.problems), "destination")
    yield Finding("alerts", Status.OK, f"alerts: {found}, their variables are valid; --webhook posts a test message")


def check_warnings(deployment: Deployment) -> Iterator[Finding]:
    """The variable of the warnings."""
    try:
        warning_settings(deployment.variables)
    except SettingsError as error:
        yield from (Finding.failed("warnings", problem) for problem in error.problems)


def check_root(deployment: Deployment) -> Iterator[Finding]:
    """Whether the files can be written, and belong to the account."""
    if not deployment.are_settings_valid:
        return
    pipeline, notes = deployment.pipeline, list[str]()
    try:
        if deployment.root_problem is not None:
            raise deployment.root_problem
        for stream in STREAMS.values():
            if stream.takes_choices:  # the newest file of every stream, as the first fetch will
                refuse_foreign_files(pipeline.store, stream.name, [], pipeline.ownership(stream), notes.append)
        notes += old_files(pipeline.store, pipeline.settings.timezone)
        notes += _ticket_tables(pipeline)
    except TicketEventsError as error:
        yield Finding.failed("root", str(error))
        return
    yield from (Finding("root", Status.NOTE, *split_advice(note)) for note in notes)
    yield Finding("root", Status.OK, f"root: {pipeline.store.location} can be written")


def _ticket_tables(pipeline: Pipeline) -> Iterator[str]:
    if not pipeline.settings.has_ticket_tables:
        return
    days = days_without_ticket_tables(pipeline.store, pipeline.settings.timezone)
    if days:
        yield (
            f"{plural(len(days), 'day')} from {days[0]} to {days[-1]} {'has' if len(days) == 1 else 'have'} SLA tables and no "
            f"ticket tables, which say whose breaches they were. Make them: {program()} backfill --tickets"
        )


def check_dagster_home(deployment: Deployment) -> Iterator[Finding]:
    """Where Dagster keeps runs and schedules."""
    home = deployment.variables.get("DAGSTER_HOME", "").strip()
    check = "dagster_home"
    if not home and deployment.adopts_home:
        yield Finding(check, Status.FAILED, "DAGSTER_HOME is not set: there is none to keep.", "Set it to the folder to keep.")
    elif not home:
        text = "DAGSTER_HOME is not set: Dagster would forget its runs and which schedules are on."
        yield Finding(check, Status.NOTE, text, "Set it to a folder that stays, as an absolute path.")
    elif not Path(home).is_absolute():
        yield Finding(check, Status.FAILED, f"DAGSTER_HOME: {home} is no absolute path.", "Give the whole path.")
    elif not Path(home).is_dir():
        yield Finding(check, Status.FAILED, f"DAGSTER_HOME: {home} is no folder.", f"Make it: mkdir -p {home}")
    else:
        yield from _home_findings(deployment, home)


def _home_findings(deployment: Deployment, home: str) -> Iterator[Finding]:
    """Whose days the home shows, and what its dagster.yaml lacks."""
    check, adopted = "dagster_home", ""
    if not (Path(home) / "dagster.yaml").is_file():
        text = f"DAGSTER_HOME: {home} has no dagster.yaml: killed runs are not started again, and any number of runs may fetch."
        yield Finding(check, Status.NOTE, text, "Copy the one there that `ticket-events init` writes.")
        if (
            not deployment.adopts_home and not (Path(home) / "history").is_dir()
        ):  # Dagster never used it, and would make its databases there now
            return
    if deployment.database_problem:  # Dagster would try for much longer
        yield Finding.failed(check, deployment.database_problem)
        return
    try:
        # Dagster, which no other check needs.
        from ticket_events_pipeline.defs.dagster_home import adopt_dagster_home, dagster_home_problem

        if deployment.adopts_home:
            adopted = adopt_dagster_home(deployment.variables)
        elif problem := dagster_home_problem(deployment.variables):
            yield Finding.failed(check, problem)
            return
    except TicketEventsError as error:
        yield Finding.failed(check, str(error))
        return
    if (Path(home) / "dagster.yaml").is_file():
        for sentence in old_dagster_yaml(Path(home) / "dagster.yaml"):
            yield Finding(check, Status.NOTE, sentence, "Take it over from the dagster.yaml that `ticket-events init` writes.")
    yield Finding(check, Status.OK, adopted or f"DAGSTER_HOME: {home}")


def check_credentials(deployment: Deployment) -> Iterator[Finding]:
    """Whether the account accepts the credentials, and until when."""
    if not deployment.are_settings_valid:
        return
    answers = deployment.answers
    if not answers.pages:
        yield from (Finding.failed("credentials", str(error)) for error in answers.failures.values())
        return
    base_url = deployment.pipeline.reachable_settings.base_url
    made = plural(answers.requests, "request")
    yield Finding("credentials", Status.OK, f"credentials: {base_url} accepts them ({made} made)")
    if answers.token_end is not None:
        now = wall_clock()
        is_far = answers.token_end.expires_at is not None and not answers.token_end.is_soon(now)
        yield Finding("credentials", Status.OK if is_far else Status.NOTE, answers.token_end.sentence(now))


def check_streams(deployment: Deployment) -> Iterator[Finding]:
    """Whether each stream can be read, and how new its events are."""
    if not deployment.are_settings_valid:
        return
    answers = deployment.answers
    for name, page in answers.pages.items():
        yield _stream_finding(name, page)
    if answers.pages:
        yield from (Finding.failed(name, str(error)) for name, error in answers.failures.items())


def _stream_finding(name: str, page: EventPage) -> Finding:
    now = page.server_time or wall_clock()
    if not page.rows:
        text = f"{name}: can be read, but has no event of the last {duration_text(QUIET_SECONDS)}"
        return Finding(name, Status.NOTE, text, "Check that this is the right account.")
    newest = "" if page.newest is None else f", the newest of them {duration_text(max(0, now - page.newest))} old"
    since = duration_text(max(0, now - page.start_time))
    is_end = page.end_of_stream or len(page.rows) < page.page_limit
    more = "" if is_end else "; there are more after them"
    return Finding(name, Status.OK, f"{name}: can be read; {plural(len(page.rows), 'event')} since {since} ago{newest}{more}")


def check_quota(deployment: Deployment) -> Iterator[Finding]:
    """The export quota as the server states it, next to what is configured."""
    if not deployment.are_settings_valid or not deployment.answers.pages:
        return
    configured, quota = deployment.pipeline.settings.requests_per_minute, deployment.answers.quota
    variable = "ZENDESK_REQUESTS_PER_MINUTE"
    if quota is None or quota.total is None:
        text = f"quota: the answers state none; the pace is {configured} requests a minute ({variable})"
        yield Finding("quota", Status.OK, text)
        return
    text = f"quota: the server grants {plural(quota.total, 'request')} a minute, {quota.remaining:,} of them are left now"
    if quota.total == configured or quota.total >= PLENTY:
        yield Finding("quota", Status.OK, text)
    else:
        text += f"; {variable} is {configured}. The server's number is obeyed"
        yield Finding("quota", Status.NOTE, text, f"Set {variable}={quota.total}, so that `plan` estimates with it.")


def check_slas(deployment: Deployment) -> Iterator[Finding]:
    """Whether SLA policies are applied at all: without one there is no target, and no breach."""
    if not deployment.are_settings_valid:
        return
    pages = [page for name, page in deployment.answers.pages.items() if name in SLA_STREAMS]
    types = [row.get("type") for page in pages for row in page.rows if isinstance(row.get("metric"), str)]
    events, applies, where = len(types), sum(kind in APPLY_TYPES for kind in types), "that were read now"
    if not applies and deployment.root_problem is None:
        store, timezone = deployment.pipeline.store, deployment.pipeline.root_settings.timezone
        for day in reversed(stored_days(store, METRIC_EVENTS, timezone)[-3:]):
            traffic = day_traffic(store, METRIC_EVENTS, day)
            if traffic is not None and traffic.events:
                events, applies, where = traffic.events, traffic.applies, f"of {day}"
                break
    if applies:
        yield Finding("slas", Status.OK, f"SLAs: {applies:,} of {plural(events, 'metric event')} {where} apply a policy")
    elif events:
        text = (
            f"SLAs: none of {plural(events, 'metric event')} {where} applies a policy. Without one there are no targets: "
            "the SLA tables stay empty, and no breach is ever found."
        )
        fix = "Check in Zendesk's Admin Center (Objects and rules > Service level agreements) that a policy fits your tickets."
        yield Finding("slas", Status.NOTE, text, fix)
    elif pages:
        yield Finding("slas", Status.NOTE, "SLAs: not known whether any are applied: no metric event was seen.")


def check_webhook(deployment: Deployment) -> Iterator[Finding]:
    """Posts a test message to every destination."""
    from ticket_events_pipeline.cli.alerts import advice, post_test  # an HTTP client and Parquet, which no other check needs

    try:
        answers = post_test(deployment.variables)
    except SettingsError as error:
        yield from (Finding.failed("webhook", problem) for problem in error.problems)
        return
    for destination, answer in answers.items():
        if answer.is_accepted:
            text = f"webhook: {destination.name} accepted a test message; look for it there"
            yield Finding("webhook", Status.OK, text)
        else:
            text = f"webhook: {destination.name} did not accept a test message: {answer.reason}"
            yield Finding("webhook", Status.FAILED, text, advice(destination, answer))


Check = Callable[[Deployment], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    check_variables,
    check_names,
    check_alerts,
    check_warnings,
    check_dagster_home,
    check_root,
    check_credentials,
    check_streams,
    check_quota,
    check_slas,
)
"""In the order of their lines."""

WEBHOOK_CHECK: Check = check_webhook
"""On request: people read what it posts."""
