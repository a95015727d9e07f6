"""What a run costs besides its work: it reads the variables, opens the store and tries out its conditions once each."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.jobs import FETCH, SUMMARIZE
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.deployment import QUIET
from ticket_events_pipeline_tests.support.object_server import object_server

DAY = "2026-03-02"
NOON = dt.datetime(2026, 3, 10, 12, 7, tzinfo=dt.UTC)


@dataclass
class Variables:
    """An environment that counts how often it is asked for."""

    values: dict[str, str]
    reads: int = field(default=0)

    def read(self) -> Mapping[str, str]:
        self.reads += 1
        return self.values


@dataclass
class Runs:
    """The definitions over counted variables, and an instance to run their jobs in."""

    variables: Variables
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    def reads_of(self, job: dg.JobDefinition) -> int:
        """How often a run of one day reads the variables."""
        before = self.variables.reads
        tags = range_tags(Day.parse(DAY), Day.parse(DAY))
        result = job.execute_in_process(run_config=QUIET, instance=self.instance, tags=tags)
        assert result.success
        assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
        return self.variables.reads - before


@contextmanager
def runs(root: str) -> Iterator[Runs]:
    account = RecordedAccount()
    base = {"ticket_id": 10, "metric": "reply_time", "instance_id": 1, "time": f"{DAY}T09:00:00Z"}
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    account.deliver("ticket_metric_events", [{**base, "id": 1, "type": "apply_sla", "sla": sla}])
    account.deliver("ticket_events", [{"id": 2, "ticket_id": 10, "timestamp": Day.parse(DAY).start + 60, "child_events": []}])
    with SandboxServer(account, clock=NOON.timestamp) as server, dg.DagsterInstance.ephemeral() as instance:
        variables = Variables(
            {
                "ZENDESK_BASE_URL": server.base_url,
                "ZENDESK_OAUTH_TOKEN": "sandbox",
                "ZENDESK_REQUESTS_PER_MINUTE": "100000",
                "TICKET_EVENTS_ROOT": root,
            }
        )
        yield Runs(variables, instance, account_definitions(account_scope(environment=variables.read)))


def test_a_run_reads_the_variables_once(tmp_path: Path) -> None:
    """A fetch of both streams and a run of the SLA tables with their report, each with its checks; and both in one run."""
    with runs(str(tmp_path)) as counted:
        jobs = [counted.definitions.resolve_job_def(name) for name in (FETCH, SUMMARIZE)]
        jobs.append(counted.definitions.resolve_implicit_global_asset_job_def())
        assert [counted.reads_of(job) for job in jobs] == [1, 1, 1]


@pytest.mark.slow
def test_a_run_tries_the_conditions_of_a_bucket_out_once(tmp_path: Path) -> None:
    """Three puts, a look at the store's clock and a delete, as a store that was opened a second time would make them again."""
    with object_server() as bucket, bucket.exported(), runs(bucket.root("prefix")) as counted:
        everything = counted.definitions.resolve_implicit_global_asset_job_def()
        assert counted.reads_of(everything) == 1
        tried_out = [line.split(" ")[0] for line in bucket.requests() if ".trial?" in line]
    assert tried_out == ["PUT", "HEAD", "PUT", "PUT", "DELETE"]
