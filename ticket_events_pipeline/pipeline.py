"""`Pipeline`: an account's settings, store, rate limit and clients in one object, without Dagster.

A run, a command and a tick of a sensor each make one. It reads the variables and opens the store once, when they are first
needed; so it can be made whatever is set, and a missing variable is reported by what needs it.
"""

from __future__ import annotations

import contextlib
import functools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Instant, wall_clock
from ticket_events_pipeline.errors import AuthenticationError, SettingsError
from ticket_events_pipeline.ingest.ownership import Ownership, refuse_foreign_files
from ticket_events_pipeline.pandas_on_demand import defer_pandas
from ticket_events_pipeline.settings import RootSettings, Settings, load_settings, root_settings
from ticket_events_pipeline.sla.precomputed import PrecomputedDays
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.store import INFLIGHT, Store
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline.zendesk.rate_limit import NOTHING_KNOWN, QuotaState
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota, read_state

if TYPE_CHECKING:
    from ticket_events_pipeline.sandbox.server import SandboxServer
    from ticket_events_pipeline.zendesk.account_api import AccountApi
    from ticket_events_pipeline.zendesk.auth import AccessToken
    from ticket_events_pipeline.zendesk.client import ZendeskClient

_T = TypeVar("_T")

Log = Callable[[str], None]

SNAPSHOT_SECONDS = 180.0
"""How long one asking for snapshots may take, waits included: a day's tables wait for it."""

NAMES_SECONDS = 15 * 60.0
"""How long the fetching of all names may take, waits included."""


class ReadVariables(Protocol):
    """Parses the account's variables as they are set now; its errors name them as they were set."""

    def __call__(self, parse: Callable[[Mapping[str, str]], _T], /) -> _T:
        """What `parse` makes of the variables.

        Raises:
            SettingsError: what `parse` found wrong.
        """
        ...


class Pipeline:
    """Zendesk on one side, the Parquet root on the other; set by the account's variables (see docs/reference/variables.md).

    Args:
        read: parses the account's variables.
        name: of the account, where a code location has several: each has its own simulated account.
        log: takes messages about the rate limit, which all clients share.
    """

    def __init__(self, read: ReadVariables, *, name: str = "", log: Log = lambda _: None) -> None:
        defer_pandas()
        self._read = read
        self._name = name
        self._log = log
        self._refusal: str | None = None
        self._has_warned = False
        self._has_asked_token_end = False
        self._account_pace = AccountPace()
        self._is_own_root = False
        self._account_token: AccessToken | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """Everything that is set for the account. The sandbox's server isn't started for it.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        return self._read(load_settings)

    def checked(self) -> Pipeline:
        """The same pipeline, if everything is set that a fetch needs.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        _ = self.settings
        return self

    @functools.cached_property
    def root_settings(self) -> RootSettings:
        """Where the files lie and whose they are, known without credentials.

        Raises:
            SettingsError: one of the variables is malformed.
        """
        # One parse a run: a fetch has parsed everything already.
        return self.settings.lake if "settings" in self.__dict__ else self._read(root_settings)

    @functools.cached_property
    def store(self) -> Store:
        """Where the files lie.

        Raises:
            SettingsError, UsageError: the root is malformed, or can't be reached.
        """
        return open_store(self.root_settings.root)

    @functools.cached_property
    def precomputed(self) -> PrecomputedDays:
        """What a step of the run has computed for later ones."""
        return PrecomputedDays()

    @functools.cached_property
    def quota(self) -> Quota:
        """The account's rate limit, which all processes with the same root share by a small file of it.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        settings = self.settings
        exchange = functools.partial(self.store.update, _quota_path(settings.account), log=self._log)
        return Quota(settings.requests_per_minute, exchange=exchange, shared_clock=self.store.clock, log=self._log)

    def quota_state(self) -> tuple[QuotaState, Instant]:
        """What the shared file says of the rate limit, and now by its clock; Zendesk and its credentials aren't needed.

        Raises:
            SettingsError, UsageError: the root is malformed, or can't be read.
        """
        account = self.root_settings.account
        try:
            with contextlib.closing(self.store.reader(_quota_path(account or ""))) as file:
                content, now = file.read(), self.store.clock()
                return read_state(content, now), now
        except FileNotFoundError:
            return NOTHING_KNOWN, Instant.exactly(wall_clock())

    @property
    def reachable_settings(self) -> Settings:
        """The settings with a server to ask: under the embedded sandbox, its server is started.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        settings = self.settings
        is_embedded = settings.is_sandbox and settings.server is None
        return settings.with_server(embedded_sandbox(self._name).base_url) if is_embedded else settings

    @contextmanager
    def client(self, log: Log, *, quota: Quota | None = None) -> Iterator[ZendeskClient]:
        """A client of the account, which logs to `log`; its rate limit is the shared one, or `quota`.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
            AuthenticationError: Zendesk refused the credentials, now or to an earlier client; they are not tried twice.
        """
        # An HTTP client, which a reader of the files does not need.
        from ticket_events_pipeline.zendesk.client import ZendeskClient

        with self._remembered_refusal():
            settings = self.reachable_settings
            with ZendeskClient(
                settings.base_url,
                settings.credentials,
                quota=quota or self.quota,
                timeout_seconds=settings.timeout_seconds,
                include_comments=settings.include_comments,
                support_type_scope=settings.support_type_scope,
                log=log,
            ) as client:
                yield client

    @contextmanager
    def account_api(self, log: Log, *, total_seconds: float = NAMES_SECONDS) -> Iterator[AccountApi]:
        """The account's ordinary API, outside the export quota; all its requests together take `total_seconds` at most.

        Raises:
            SettingsError, AuthenticationError: see `client`.
            ForeignRootError: the root's files are of another account, whose tickets have the same numbers.
        """
        from ticket_events_pipeline.zendesk.account_api import AccountApi
        from ticket_events_pipeline.zendesk.auth import AccessToken

        with self._remembered_refusal():
            settings = self.reachable_settings
            self._refuse_foreign_root(log)
            self._account_token = self._account_token or AccessToken()
            with AccountApi(
                settings.base_url,
                settings.credentials,
                pace=self._account_pace,
                token=self._account_token,
                total_seconds=total_seconds,
                timeout_seconds=settings.timeout_seconds,
                log=log,
            ) as api:
                yield api

    def snapshots(self, log: Log) -> Snapshots:
        """The snapshots of tickets; more are asked for if `asks_for_snapshots`.

        Raises:
            SettingsError, UsageError: the root is malformed, or can't be reached.
        """
        open_api = functools.partial(self.account_api, log, total_seconds=SNAPSHOT_SECONDS) if self.asks_for_snapshots else None
        return Snapshots(self.store, self.root_settings.timezone, open_api=open_api, log=log)

    @property
    def asks_for_snapshots(self) -> bool:
        """Whether tickets are asked for what no stored audit tells: ZENDESK_SNAPSHOTS is on, and there are credentials."""
        try:
            return self.settings.has_snapshots
        except SettingsError:
            return False

    def _refuse_foreign_root(self, log: Log) -> None:
        if not self._is_own_root:
            stream = next(stream for stream in STREAMS.values() if not stream.takes_choices)
            refuse_foreign_files(self.store, stream.name, [], self.ownership(stream), log)
        self._is_own_root = True

    @contextmanager
    def _remembered_refusal(self) -> Iterator[None]:
        """Credentials that were refused in the block are not tried again."""
        if self._refusal is not None:
            raise AuthenticationError(self._refusal)
        try:
            yield
        except AuthenticationError as error:
            self._refusal = str(error)
            raise

    def ownership(self, stream: Stream) -> Ownership:
        """Whose files a fetch of `stream` makes.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        settings = self.settings
        owner = Ownership(settings.account, settings.timezone, sideload=False, former_accounts=settings.former_accounts)
        if not stream.takes_choices:
            return owner
        return replace(owner, sideload=settings.include_comments, support_type_scope=settings.support_type_scope)

    def new_warnings(self) -> tuple[str, ...]:
        """The warnings of the settings, the first time; none from then on."""
        warnings = () if self._has_warned else self.settings.warnings
        self._has_warned = True
        return warnings

    def token_warning(self, client: ZendeskClient) -> str | None:
        """When a fixed token ends, the first time; None for other credentials.

        Call it once something has been fetched: the export's own error reports a token that is refused.
        """
        settings = self.settings
        if settings.is_sandbox or self._has_asked_token_end or not isinstance(settings.credentials, BearerToken):
            return None
        self._has_asked_token_end = True
        return client.token_end().sentence(wall_clock())


def _quota_path(account: str) -> str:
    name = re.sub(r"[^a-z0-9.-]", "-", account.lower())  # it may be a host's address
    return f"{INFLIGHT}/quota-{name}.json"


def pipeline_of(variables: Mapping[str, str], *, log: Log = lambda _: None) -> Pipeline:
    """The pipeline of the account that `variables` name."""

    def read(parse: Callable[[Mapping[str, str]], _T], /) -> _T:
        return parse(variables)

    return Pipeline(read, log=log)


@functools.cache
def embedded_sandbox(name: str = "") -> SandboxServer:
    """The simulated account of this process, another one for each name, behind its server on 127.0.0.1."""
    # A web server, which no real account needs.
    from ticket_events_pipeline.sandbox.account import SimulatedAccount
    from ticket_events_pipeline.sandbox.server import SandboxServer

    account = SimulatedAccount(seed=zlib.crc32(name.encode())) if name else SimulatedAccount()
    server = SandboxServer(account, clock=wall_clock)
    server.start()
    return server
