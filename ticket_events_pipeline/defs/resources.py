"""The pipeline's one resource: settings, store and client, made when a run needs them and never before.

It has no configuration fields: everything comes from the environment, so no credential can show in the UI's resource view.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import AuthenticationError
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.lake.store import Store, open_store
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import Settings, load_settings
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.page import Stream
from ticket_events_pipeline.zendesk.quota import shared_quota


class TicketEventsPipeline(dg.ConfigurableResource):  # type: ignore[type-arg]  # it resolves to itself
    """Zendesk on one side, the Parquet root on the other; set by environment variables (see .env.example)."""

    _refusal: str | None = PrivateAttr(default=None)

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

    @contextmanager
    def client(self, settings: Settings, log: Callable[[str], None]) -> Iterator[ZendeskClient]:
        """A client of the account, drawing on the quota that the whole process shares.

        Raises:
            AuthenticationError: also where another step of the run was refused already; nobody asks twice.
        """
        if self._refusal is not None:
            raise AuthenticationError(self._refusal)
        try:
            with ZendeskClient(
                settings.base_url,
                settings.credentials,
                quota=shared_quota(settings.account, settings.requests_per_minute),
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
