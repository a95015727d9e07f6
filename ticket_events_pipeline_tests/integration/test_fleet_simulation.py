"""The fleet on paper: the tables of docs/explanation/scale.md are those of `benchmarks/fleet_simulation.py`."""

import re
import subprocess
import sys

import pytest

from ticket_events_pipeline_tests.support.checkout import CHECKOUT

PLACE = re.compile(r"<!-- simulated: \w+ -->\n\n(.*?)\n\n<!-- /simulated -->", re.DOTALL)


def simulated(*options):
    command = [sys.executable, "benchmarks/fleet_simulation.py", *options]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_documented_tables_are_what_the_simulation_prints():
    documented = PLACE.findall((CHECKOUT / "docs" / "explanation" / "scale.md").read_text())
    assert "\n\n".join(documented) == simulated().strip(), "run `make fleet-simulation`"


def test_another_fleet_gives_other_tables_and_the_same_one_the_same():
    frequent = simulated("--accounts", "3", "--mix", "5000:1", "--every", "10", "--alerts")
    assert frequent == simulated("--accounts", "3", "--mix", "5000:1", "--every", "10", "--alerts")
    assert "| 5,000 | " in frequent
    assert frequent != simulated("--accounts", "3", "--mix", "5000:1")
