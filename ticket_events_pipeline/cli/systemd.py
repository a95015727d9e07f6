"""The systemd units of a folder: Dagster's web server and its daemon, started in that folder, where they read `.env`."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from ticket_events_pipeline.cli.env_file import template
from ticket_events_pipeline.errors import UsageError

WEBSERVER, DAEMON = "ticket-events-webserver.service", "ticket-events-daemon.service"

_SAFE = re.compile(r"/[\w /.,:@+=~-]*")  # of the rest, systemd reads some as its own: quotes, $, %, backslashes


def unit_files(folder: Path, programs: Path, user: str | None) -> dict[str, str]:
    """The text of each unit, by its file name.

    Args:
        folder: the working folder of both, absolute.
        programs: the folder of `dagster-webserver` and `dagster-daemon`, absolute.
        user: who they run as; None leaves a line to fill in.

    Raises:
        UsageError: a path holds a character that means something else in a unit.
    """
    for path in (folder, programs):
        if not _SAFE.fullmatch(str(path)):
            raise UsageError(f"{path}: give a folder whose path has only letters, digits, blanks and . _ , : @ + = ~ -")
    commands = {
        WEBSERVER: ("web server", "dagster-webserver", "-h 127.0.0.1 -p 3000 -w workspace.yaml"),
        DAEMON: ("daemon", "dagster-daemon", "run -w workspace.yaml"),
    }
    return {
        name: Template(template("systemd.service")).substitute(
            description=f"Dagster's {title} of ticket_events_pipeline",
            user="# User=   (a user of its own, who owns the working folder)" if user is None else f"User={user}",
            folder=folder,
            command=f'"{programs / program}" {arguments}',
        )
        for name, (title, program, arguments) in commands.items()
    }
