"""The checks of `ticket-events doctor`: each looks at one thing and yields findings, each with its fix.

A check that can't look, because an earlier one has failed, yields nothing. A further check is one more function in CHECKS.
Those that ask Zendesk are in `account_checks`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from ticket_events_pipeline.alerts.destinations import NOTIFY_URLS, WEBHOOK
from ticket_events_pipeline.alerts.settings import alert_settings
from ticket_events_pipeline.alerts.warning_settings import warning_settings
from ticket_events_pipeline.background_worker import map_concurrently
from ticket_events_pipeline.cli.dagster_yaml import old_dagster_yaml
from ticket_events_pipeline.cli.old_files import days_without_ticket_tables, old_files
from ticket_events_pipeline.cli.variables import unknown_variables
from ticket_events_pipeline.cli.waits import (
    ANSWER_SECONDS,
    READ_SECONDS,
    UnansweredError,
    database_name,
    database_problem,
    home_problem,
    import_libraries,
    of_root,
)
from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import AuthenticationError, BlockedError, DamagedFileError, SettingsError, TicketEventsError
from ticket_events_pipeline.forgotten.ledger import lost_ledger_error, read_ledger
from ticket_events_pipeline.ingest.ownership import refuse_foreign_files
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import Log, Pipeline, pipeline_of
from ticket_events_pipeline.retention.settings import RETAIN_DAYS, retention_settings
from ticket_events_pipeline.storage.partition_file import partition_path, stored_days
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.text import plural
from ticket_events_pipeline.zendesk.client import CHECK_AGE_SECONDS, ZendeskClient
from ticket_events_pipeline.zendesk.headers import QuotaHeader
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota
from ticket_events_pipeline.zendesk.token_end import TokenEnd

Result = TypeVar("Result")

QUIET_SECONDS = 7 * 86_400
"""Where the last hour has no event, the page from a week ago shows whether there is any."""

_SMALL_PAGE = 100
# Where the sentences of a message begin to say what to do.
_ADVICE = re.compile(
    r"(?:(?<=[.)]) |: |; )(?=(?:[Aa]dd|[Aa]sk|[Cc]heck|[Gg]ive|[Ii]nstall|[Kk]eep|[Mm]ake|[Mm]aterialize|[Pp]ut|[Rr]estore|"
    r"[Ss]et|[Tt]ry|[Uu]nset|[Uu]pgrade|[Uu]se|pip install)\b)"
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
            store = self.pipeline.store  # its libraries are imported before the time counts
            of_root(self.pipeline.root_settings.root, store.check, seconds=ANSWER_SECONDS)
        except TicketEventsError as error:
            return error
        return None

    def of_root(self, read: Callable[[], Result], *, seconds: float = READ_SECONDS) -> Result:
        """What `read` finds below the root; once it hasn't answered in time, no later check asks it.

        Raises:
            UnansweredError: it doesn't answer in time.
            TicketEventsError: what `read` raises.
        """
        try:
            return of_root(self.pipeline.root_settings.root, read, seconds=seconds)
        except UnansweredError as error:
            self.root_problem = error
            raise

    @property
    def home(self) -> str:
        """The folder that is set as DAGSTER_HOME; empty if none is."""
        return self.variables.get("DAGSTER_HOME", "").strip()

    @functools.cached_property
    def home_problem(self) -> str:
        """Why DAGSTER_HOME can't be read, and what to do; empty if it can, or if none is set."""
        return home_problem(self.home) if self.home else ""

    @functools.cached_property
    def database_problem(self) -> str:
        """Why the Postgres of DAGSTER_HOME can't be reached, and what to do; empty if it can, or if there is none."""
        return database_problem(self.home, self.variables)

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


def check_retention(deployment: Deployment) -> Iterator[Finding]:
    """The variable of how long files are kept."""
    try:
        retention_settings(deployment.variables)
    except SettingsError as error:  # another check names those of the other variables
        own = [problem for problem in error.problems if problem.startswith(RETAIN_DAYS)]
        yield from (Finding.failed("retention", problem) for problem in own)


def check_root(deployment: Deployment) -> Iterator[Finding]:
    """Whether the files can be written, and belong to the account."""
    if not deployment.are_settings_valid:
        return
    try:
        if deployment.root_problem is not None:
            raise deployment.root_problem
        notes = deployment.of_root(lambda: _root_notes(deployment.pipeline))
    except TicketEventsError as error:
        yield Finding.failed("root", str(error))
        return
    yield from (Finding("root", Status.NOTE, *split_advice(note)) for note in notes)
    yield Finding("root", Status.OK, f"root: {deployment.pipeline.store.location} can be written")


def _root_notes(pipeline: Pipeline) -> list[str]:
    """What a fetch should know of the stored files."""
    notes = list[str]()
    for stream in STREAMS.values():
        if stream.takes_choices:  # the newest file of every stream, as the first fetch will
            refuse_foreign_files(pipeline.store, stream.name, [], pipeline.ownership(stream), notes.append)
    return [*notes, *old_files(pipeline.store, pipeline.settings.timezone), *_ticket_tables(pipeline)]


def _ticket_tables(pipeline: Pipeline) -> Iterator[str]:
    if not pipeline.settings.has_ticket_tables:
        return
    days = days_without_ticket_tables(pipeline.store, pipeline.settings.timezone)
    if days:
        yield (
            f"{plural(len(days), 'day')} from {days[0]} to {days[-1]} {'has' if len(days) == 1 else 'have'} SLA tables and no "
            f"ticket tables, which say whose breaches they were. Make them: {program()} backfill --tickets"
        )


def check_ledger(deployment: Deployment) -> Iterator[Finding]:
    """Whether the ledger of what was forgotten is there, if anything was."""
    if not deployment.are_settings_valid or deployment.root_problem is not None:
        return
    try:
        deployment.of_root(lambda: _require_ledger(deployment.pipeline))
    except TicketEventsError as error:
        yield Finding.failed("ledger", str(error))


def _require_ledger(pipeline: Pipeline) -> None:
    store = pipeline.store
    if read_ledger(store) is not None:
        return
    days = [(stream, day) for stream in STREAMS for day in stored_days(store, stream, pipeline.settings.timezone)]

    def has_blanked_rows(place: tuple[str, Day]) -> bool:
        with suppress(DamagedFileError):  # `verify` names it
            footer = read_raw_footer(store, *place)
            return footer is not None and bool(footer.forgotten_rows)
        return False

    for place, is_blanked in zip(days, map_concurrently(has_blanked_rows, days), strict=True):
        if is_blanked:
            raise lost_ledger_error(store, store.url(partition_path(*place)))


def check_dagster_home(deployment: Deployment) -> Iterator[Finding]:
    """Where Dagster keeps runs and schedules."""
    home, check = deployment.home, "dagster_home"
    if not home and deployment.adopts_home:
        yield Finding(check, Status.FAILED, "DAGSTER_HOME is not set: there is none to keep.", "Set it to the folder to keep.")
    elif not home:
        text = "DAGSTER_HOME is not set: Dagster would forget its runs and which schedules are on."
        yield Finding(check, Status.NOTE, text, "Set it to a folder that stays, as an absolute path.")
    elif not Path(home).is_absolute():
        yield Finding(check, Status.FAILED, f"DAGSTER_HOME: {home} is no absolute path.", "Give the whole path.")
    elif deployment.home_problem:
        yield Finding.failed(check, deployment.home_problem)
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

        import_libraries(home)
        database = database_name(home, deployment.variables)
        if deployment.adopts_home:
            if deployment.root_problem is not None:
                raise deployment.root_problem
            adopted = adopt_dagster_home(deployment.variables, database=database)
        elif problem := dagster_home_problem(deployment.variables, database=database):
            yield Finding.failed(check, problem)
            return
    except TicketEventsError as error:
        yield Finding.failed(check, str(error))
        return
    if (Path(home) / "dagster.yaml").is_file():
        for sentence in old_dagster_yaml(Path(home) / "dagster.yaml"):
            yield Finding(check, Status.NOTE, sentence, "Take it over from the dagster.yaml that `ticket-events init` writes.")
    yield Finding(check, Status.OK, adopted or f"DAGSTER_HOME: {home}")


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
    check_retention,
    check_dagster_home,
    check_root,
    check_ledger,
)
"""In the order of their lines. They send no request to Zendesk: one may wait minutes for its share of the quota."""

WEBHOOK_CHECK: Check = check_webhook
"""On request: people read what it posts."""
