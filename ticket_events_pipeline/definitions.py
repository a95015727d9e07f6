"""The code location of one account, which the environment variables name.

Loads without any variable set, so that the UI always opens. For several accounts in one location see `component`.
"""

from __future__ import annotations

import gc

import dagster as dg

from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.scope import account_scope

# What was imported stays until the process ends. Without this, the garbage collector visits all of it several times during a
# run, and once more at its end: a quarter of the CPU of a run of one day. What lives to the end is not finalized there:
# Python promises that for no object.
gc.freeze()

SCOPE = account_scope()

defs = dg.Definitions.merge(
    account_definitions(SCOPE),
    # Steps are short and share their imports: one process per step would take longer than the steps.
    dg.Definitions(executor=dg.in_process_executor),
)
