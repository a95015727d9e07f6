"""The two queues of the fleet on paper, `benchmarks/fleet_queues.py`."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.slots_oracle import waits

sys.path.append(str(CHECKOUT / "benchmarks"))
from fleet_queues import Launch, Sensor, seconds_between_ticks, slots_needed, slowest_start

RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=19).map(sorted)


def launches(runs):
    return [Launch(requested_at, seconds) for requested_at, seconds in runs]


@given(RUNS, st.integers(1, 6), st.integers(0, 3))
def test_the_slowest_run_waits_as_long_as_in_a_simulation_second_by_second(runs, slots, launch_seconds):
    expected = max(waits(runs, slots, launch_seconds=launch_seconds))  # of 19 runs, 95 % are all
    assert slowest_start(launches(runs), slots, launch_seconds=launch_seconds) == expected


@given(RUNS, st.integers(0, 40), st.integers(0, 2))
def test_one_slot_less_than_needed_does_not_suffice(runs, within, launch_seconds):
    def slowest(slots):
        return slowest_start(launches(runs), slots, launch_seconds=launch_seconds)

    needed = slots_needed(launches(runs), within=within, launch_seconds=launch_seconds)
    if needed is None:
        assert slowest(len(runs)) > within
    else:
        assert slowest(needed) <= within
        assert needed == 1 or slowest(needed - 1) > within


@pytest.mark.parametrize(
    ("accounts", "threads", "code_servers", "seconds"),
    [
        (10, 1, 1, 20),  # 10 ticks of a second fit into 20 seconds
        (100, 1, 1, 100),  # one thread takes a second for each
        (100, 10, 100, 20),
        (200, 10, 200, 20),
        (400, 10, 400, 40),
        (100, 50, 1, 50),  # a code server's processor takes half a second for each
        (100, 50, 4, 20),
    ],
)
def test_a_sensor_ticks_as_often_as_threads_and_code_servers_allow(accounts, threads, code_servers, seconds):
    sensor = Sensor(interval=20, seconds=1.0, cpu_seconds=0.5)
    found = seconds_between_ticks(accounts, [sensor], threads=threads, code_servers=code_servers)
    assert found == pytest.approx(seconds, rel=0.1)
