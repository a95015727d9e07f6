"""How long a command waits for the root, DAGSTER_HOME and its database, and what it says when no answer comes.

Whatever hangs is left to a thread that doesn't keep the process from ending. Libraries are imported before: on a busy machine
that takes longer than an answer.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.cli.dagster_yaml import modules_of, postgres_address, unset_variables
from ticket_events_pipeline.errors import TransientError

Result = TypeVar("Result")


class UnansweredError(TransientError):
    """Nothing came within the time that is waited."""


ANSWER_SECONDS = 20.0
"""How long a root or a home may take for its first, small answer."""

READ_SECONDS = 120.0
"""How long a root that has answered may take for many files, in a far bucket."""

CONNECT_SECONDS = 4.0
"""How long a connection to a server may take: the slowest network needs one second."""

_SSL_REQUEST = (8).to_bytes(4) + (80_877_103).to_bytes(4)


def of_root(root: str, read: Callable[[], Result], *, seconds: float = ANSWER_SECONDS) -> Result:
    """What `read` finds below the root.

    Raises:
        UnansweredError: the root doesn't answer in time.
        TicketEventsError: what `read` raises.
    """
    try:
        return in_time(read, seconds=seconds)
    except TimeoutError:
        raise UnansweredError(
            f"TICKET_EVENTS_ROOT: {root} doesn't answer: nothing within {seconds:g} s. Check that its server runs, and the "
            "network between here and there."
        ) from None


def home_problem(home: str) -> str:
    """Why the folder that is set as DAGSTER_HOME can't be read, and what to do; empty if it can, or if there is none."""
    path = Path(home) / "dagster.yaml"
    try:
        in_time(lambda: path.is_file() and path.read_bytes(), seconds=ANSWER_SECONDS)
    except TimeoutError:
        return (
            f"DAGSTER_HOME: {home} doesn't answer: nothing within {ANSWER_SECONDS:g} s. Check the share or the disk that it "
            "lies on."
        )
    except OSError:  # who reads it next says so
        return ""
    return ""


def database_name(home: str, variables: Mapping[str, str]) -> str:
    """Dagster's database in a message: with host and port, and without user and password."""
    address = postgres_address(Path(home) / "dagster.yaml", variables)
    return "its database" if address is None else f"Postgres at {address[0]}:{address[1]}"


def database_problem(home: str, variables: Mapping[str, str]) -> str:
    """Why the Postgres of a DAGSTER_HOME can't be reached, and what to do; empty if it can, or if there is none."""
    path = Path(home) / "dagster.yaml"
    if unset := unset_variables(path, variables):
        return f"{path} refers to variables that are not set: {', '.join(unset)}. Set them here, too."
    address = postgres_address(path, variables)
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


def import_libraries(home: str) -> None:
    """Import what the dagster.yaml of a home names, as Dagster will; it says itself what isn't installed."""
    for module in modules_of(Path(home) / "dagster.yaml"):
        with suppress(Exception):  # of any library's import
            importlib.import_module(module)


def _greet_postgres(address: tuple[str, int]) -> None:
    """Ask whether the server speaks TLS, as every client of Postgres may: the answer is a letter, and needs no password.

    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
    """
    with socket.create_connection(address, timeout=CONNECT_SECONDS) as connection:
        connection.sendall(_SSL_REQUEST)
        if connection.recv(1) not in (b"S", b"N"):
            raise ConnectionError("it is another kind of server")
