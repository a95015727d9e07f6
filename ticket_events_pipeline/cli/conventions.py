"""What all commands have in common: the exit code of a failure, and the help of an option."""

from __future__ import annotations

FAILED = 1
"""Wrong usage is 2, as click has it."""

AS_JSON = "Print one JSON document instead; notes go to standard error."
