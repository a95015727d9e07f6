"""What is not imported before it is needed: every command, run and code location would pay for it."""

import os
import pkgutil
import subprocess
import sys

import pytest

import ticket_events_pipeline.cli as commands

HTTP = {"requests", "urllib3", "tenacity"}
SERVER = {"uvicorn", "starlette", "anyio"}
PAGES = {"jinja2", "markdown_it"}
STORES = {"boto3", "botocore", "obstore"}
TABLES = {"pandas", "duckdb", "matplotlib"}

DEFINITIONS = "import ticket_events_pipeline.definitions"
HELP = "from ticket_events_pipeline.cli.main import commands; commands.main({words}, standalone_mode=False)"


RUNS = """
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.defs.scope import account_scope
today = account_scope().day_containing(__import__("time").time())
for job in ("fetch_ticket_events", "summarize_sla_breaches"):
    assert defs.resolve_job_def(job).execute_in_process(tags=range_tags(today, today)).success
"""


def imported(statement, **variables):
    """The top-level names of what a new process with these variables has imported once it has executed `statement`."""
    program = f"{statement}\nimport sys; print('imported', *{{name.partition('.')[0] for name in sys.modules}})"
    env = {**os.environ, **variables}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=True)
    return set(ended.stdout.splitlines()[-1].split()[1:])


def test_definitions_load_without_http_client_web_server_or_page_templates():
    assert imported(DEFINITIONS) & (HTTP | SERVER | PAGES | STORES | TABLES) == set()


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["verify", "--help"], ["summary", "--help"]])
def test_help_is_printed_without_importing_dagster_arrow_or_other_large_packages(words):
    large = HTTP | SERVER | PAGES | STORES | TABLES | {"dagster", "pyarrow", "numpy", "rich"}
    assert imported(HELP.format(words=words)) & large == set()


def test_runs_of_both_jobs_with_their_checks_need_no_pandas(tmp_path):
    found = imported(RUNS, ZENDESK_SANDBOX="1", TICKET_EVENTS_ROOT=str(tmp_path))
    assert {"pyarrow", "requests"} <= found
    assert found & TABLES == set()


def test_definitions_load_without_what_few_runs_need():
    program = f"{DEFINITIONS}; import sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    parts = {
        f"ticket_events_pipeline.{name}" for name in ("report.model", "report.page", "publish.publisher", "retention.prune")
    }
    assert parts & set(ended.stdout.split()) == set()


def test_the_garbage_collector_leaves_out_what_the_code_location_imported():
    program = f"{DEFINITIONS}; import gc; print('frozen', gc.get_freeze_count() > len(gc.get_objects()))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines() == ["frozen True"]


def test_an_import_is_noticed():
    assert {"requests", "urllib3"} <= imported("import ticket_events_pipeline.zendesk.client")


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(module.name for module in pkgutil.iter_modules(commands.__path__)))
def test_each_module_of_the_command_line_can_be_imported_first(module):
    """Tests of commands fork them from a process that has imported everything: what is missing would not show there."""
    program = f"import {commands.__name__}.{module}"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
