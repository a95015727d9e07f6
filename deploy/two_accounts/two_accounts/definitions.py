"""Every account of the folder `defs` in one code location."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The accounts, each run in one process: steps are short and share their imports."""
    accounts = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(accounts, dg.Definitions(executor=dg.in_process_executor))
