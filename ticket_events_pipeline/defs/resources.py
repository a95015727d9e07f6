"""The pipeline's one resource: settings, store and client, made when a run needs them and never before.

It has no configuration fields: everything comes from the environment, so no credential can show in the UI's resource view.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.run_process import mark_run
from ticket_events_pipeline.errors import AuthenticationError
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.lake.store import INFLIGHT, Store, open_store
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import Settings, load_settings
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.page import Stream
from ticket_events_pipeline.zendesk.quota import Quota


class TicketEventsPipeline(dg.ConfigurableResource):  # type: ignore[type-arg]  # it resolves to itself
    """Zendesk on one side, the Parquet root on the other; set by environment variables (see .env.example)."""

    _refusal: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Before a run's first step: mark it, so that it is known when its process is gone."""
        if context.run is not None and context.instance is not None:
            mark_run(context.instance, context.run.run_id)

    def settings(self) -> Settings:
        """The settings in force, the sandbox's server included.

        Raises:
            SettingsError: variables are missing, malformed or contradict each other.
        """
        settings = load_settings(os.environ)
        return settings.with_server(embedded_sandbox().base_url) if settings.is_sandbox else settings

    def store(self) -> Store:
        """Where the Parquet files lie."""
        return open_store(load_settings(os.environ).root)

    def quota(self, settings: Settings, log: Callable[[str], None]) -> Quota:
        """The account's quota, which lies beside the files: in a small file of the root."""
        name = re.sub(r"[^a-z0-9.-]", "-", settings.account.lower())  # it may be a host's address
        exchange = functools.partial(open_store(settings.root).exchange, f"{INFLIGHT}/quota-{name}.json")
        return Quota(settings.requests_per_minute, exchange=exchange, log=log)

    @contextmanager
    def client(self, settings: Settings, log: Callable[[str], None]) -> Iterator[ZendeskClient]:
        """A client of the account, drawing on the quota that all processes with the same root share.

        Raises:
            AuthenticationError: also where another step of the run was refused already; nobody asks twice.
        """
        if self._refusal is not None:
            raise AuthenticationError(self._refusal)
        try:
            with ZendeskClient(
                settings.base_url,
                settings.credentials,
                quota=self.quota(settings, log),
                timeout_seconds=settings.timeout_seconds,
                include_comments=settings.include_comments,
                log=log,
            ) as client:
                yield client
        except AuthenticationError as error:
            self._refusal = str(error)
            raise


def ownership(settings: Settings, stream: Stream) -> Ownership:
    """Whose files a pass with these settings makes."""
    return Ownership(settings.account, settings.timezone, settings.include_comments and stream.name == "ticket_events")


@functools.cache
def embedded_sandbox() -> SandboxServer:
    """The simulated account of this process, behind its server on 127.0.0.1; it ends with the process."""
    server = SandboxServer(SimulatedAccount(), clock=wall_clock)
    server.start()
    return server
