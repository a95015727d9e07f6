"""An account's one resource: settings, store and client, made when a run needs them and never before.

It has no configuration fields: everything comes from the account's variables, so no credential can show in the UI's resource
view.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import dagster as dg

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.run_process import mark_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import AuthenticationError
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.settings import Settings
from ticket_events_pipeline.storage.store import INFLIGHT, Store
from ticket_events_pipeline.zendesk.page import TICKET_EVENTS, Stream
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota

if TYPE_CHECKING:
    from ticket_events_pipeline.sandbox.server import SandboxServer
    from ticket_events_pipeline.zendesk.client import ZendeskClient

PIPELINE = "pipeline"
"""The resource's key, of an account with a name behind that."""


class TicketEventsPipeline:
    """Zendesk on one side, the Parquet root on the other; set by the account's variables (see .env.example)."""

    def __init__(self, scope: AccountScope) -> None:
        self._scope = scope
        self._refusal: str | None = None
        self._has_warned = False
        self._has_asked_token_end = False

    def settings(self) -> Settings:
        """The settings in force, the sandbox's server included.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        settings = self._scope.settings()
        return settings.with_server(embedded_sandbox(self._scope.name).base_url) if settings.is_sandbox else settings

    def store(self) -> Store:
        """Where the Parquet files lie."""
        return self._scope.store()

    def quota(self, settings: Settings, log: Callable[[str], None]) -> Quota:
        """The account's quota, which lies beside the files: in a small file of the root."""
        name = re.sub(r"[^a-z0-9.-]", "-", settings.account.lower())  # it may be a host's address
        exchange = functools.partial(self.store().update, f"{INFLIGHT}/quota-{name}.json", log=log)
        return Quota(settings.requests_per_minute, exchange=exchange, log=log)

    @contextmanager
    def client(self, settings: Settings, log: Callable[[str], None]) -> Iterator[ZendeskClient]:
        """A client of the account, drawing on the quota that all processes with the same root share.

        Raises:
            AuthenticationError: also where another step of the run was refused already; nobody asks twice.
        """
        from ticket_events_pipeline.zendesk.client import ZendeskClient

        if self._refusal is not None:
            raise AuthenticationError(self._refusal)
        try:
            with ZendeskClient(
                settings.base_url,
                settings.credentials,
                quota=self.quota(settings, log),
                timeout_seconds=settings.timeout_seconds,
                include_comments=settings.include_comments,
                support_type_scope=settings.support_type_scope,
                log=log,
            ) as client:
                yield client
        except AuthenticationError as error:
            self._refusal = str(error)
            raise

    def new_warnings(self, settings: Settings) -> tuple[str, ...]:
        """The warnings of the settings, once a run: its steps need not repeat them."""
        warnings = () if self._has_warned else settings.warnings
        self._has_warned = True
        return warnings

    def token_warning(self, settings: Settings, client: ZendeskClient) -> str | None:
        """When a fixed token ends, once a run; None for other credentials.

        Ask once something has been fetched: the export's own error reports a token that is refused.
        """
        if settings.is_sandbox or self._has_asked_token_end or not isinstance(settings.credentials, BearerToken):
            return None
        self._has_asked_token_end = True
        return client.token_end().sentence(wall_clock())


def pipeline_resource(
    scope: AccountScope, make: Callable[[AccountScope], TicketEventsPipeline] = TicketEventsPipeline
) -> dg.ResourceDefinition:
    """The account's resource, made once a run: before its first step the run is marked, so that a dead one is known."""

    def resource(context: dg.InitResourceContext) -> TicketEventsPipeline:
        if context.run is not None and context.instance is not None:
            mark_run(context.instance, context.run.run_id)
        return make(scope)

    return dg.ResourceDefinition(resource, description="Zendesk on one side, the Parquet root on the other.")


def pipeline_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, scope: AccountScope) -> TicketEventsPipeline:
    """The account's pipeline, for a step that requires the resource."""
    return cast(TicketEventsPipeline, getattr(context.resources, scope.named(PIPELINE)))


def ownership(settings: Settings, stream: Stream) -> Ownership:
    """Whose files a pass with these settings makes."""
    owner = Ownership(settings.account, settings.timezone, sideload=False, former_accounts=settings.former_accounts)
    if stream is not TICKET_EVENTS:  # the choices below are about that stream alone
        return owner
    return replace(owner, sideload=settings.include_comments, support_type_scope=settings.support_type_scope)


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
