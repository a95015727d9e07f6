"""What is not imported before it is needed: every command, run and code location would pay for it."""

import subprocess
import sys

import pytest

HTTP = {"requests", "urllib3", "tenacity"}
SERVER = {"uvicorn", "starlette", "anyio"}
PAGES = {"jinja2", "markdown_it"}
STORES = {"boto3", "botocore", "obstore"}
TABLES = {"pandas", "duckdb", "matplotlib"}

DEFINITIONS = "import ticket_events_pipeline.definitions"
HELP = "from ticket_events_pipeline.cli.main import commands; commands.main({words}, standalone_mode=False)"


def imported(statement):
    """The top-level names of what a new process has imported once it has executed `statement`."""
    program = f"{statement}\nimport sys; print('imported', *{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(ended.stdout.splitlines()[-1].split()[1:])


def test_definitions_load_without_http_client_web_server_or_page_templates():
    assert imported(DEFINITIONS) & (HTTP | SERVER | PAGES | STORES | TABLES) == set()


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["verify", "--help"], ["summary", "--help"]])
def test_help_is_printed_without_importing_dagster_arrow_or_other_large_packages(words):
    large = HTTP | SERVER | PAGES | STORES | TABLES | {"dagster", "pyarrow", "numpy", "rich"}
    assert imported(HELP.format(words=words)) & large == set()


def test_an_import_is_noticed():
    assert {"requests", "urllib3"} <= imported("import ticket_events_pipeline.zendesk.client")
