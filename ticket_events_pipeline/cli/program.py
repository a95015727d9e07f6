"""How this program is started here, so that a printed command can be typed as it stands."""

from __future__ import annotations

import os
import shutil
import sys

NAME = "ticket-events"


def program() -> str:
    """`ticket-events` where the shell finds that one; else its path, from the working folder where it lies below it."""
    started = os.path.abspath(sys.argv[0])
    found = shutil.which(NAME)
    if os.path.basename(started) != NAME or (found is not None and os.path.samefile(found, started)):
        return NAME
    relative = os.path.relpath(started)
    return started if relative.startswith(os.pardir) else relative
