"""`Pipeline`: one settings object, one store and one rate limit, made when they are needed."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ticket_events_pipeline.errors import AuthenticationError, SettingsError
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.settings import load_settings, root_settings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS, TICKET_METRIC_EVENTS

ACME = {"ZENDESK_SUBDOMAIN": "acme", "ZENDESK_OAUTH_TOKEN": "token"}
SANDBOX = {"ZENDESK_SANDBOX": "1"}


class Counted:
    """Variables that count how often they are parsed."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.parses = 0

    def __call__(self, parse: Callable[[Mapping[str, str]], Any], /) -> Any:
        self.parses += 1
        return parse(self.variables)


def test_the_variables_are_parsed_once(tmp_path):
    read = Counted({**ACME, "TICKET_EVENTS_ROOT": str(tmp_path)})
    pipeline = Pipeline(read)
    assert read.parses == 0
    assert pipeline.settings.account == pipeline.root_settings.account == "acme"
    assert isinstance(pipeline.store, FolderStore)
    assert pipeline.quota.known_per_minute() == 10
    assert read.parses == 1


def test_store_and_rate_limit_are_made_once(tmp_path):
    pipeline = pipeline_of({**ACME, "TICKET_EVENTS_ROOT": str(tmp_path)})
    assert pipeline.store is pipeline.store
    assert pipeline.quota is pipeline.quota


def test_files_are_readable_without_credentials_and_a_fetch_names_missing_ones(tmp_path):
    pipeline = pipeline_of({"TICKET_EVENTS_ROOT": str(tmp_path)})
    assert pipeline.store.location == str(tmp_path)
    with pytest.raises(SettingsError, match="ZENDESK_SUBDOMAIN is not set"):
        pipeline.checked()


@pytest.mark.parametrize(
    "variables",
    [
        ACME,
        SANDBOX,
        {**ACME, "ZENDESK_BASE_URL": "https://proxy.example.com"},
        {**ACME, "ZENDESK_FORMER_SUBDOMAINS": "globex", "TICKET_EVENTS_TIMEZONE": "Europe/Berlin"},
        {
            "ZENDESK_BASE_URL": "https://proxy.example.com",
            "ZENDESK_OAUTH_TOKEN": "token",
            "TICKET_EVENTS_ROOT": "s3://bucket/prefix",
        },
        {**SANDBOX, "ZENDESK_SUBDOMAIN": "acme", "ZENDESK_FORMER_SUBDOMAINS": "globex"},
    ],
)
def test_the_settings_equal_what_a_reader_of_the_files_finds(variables):
    assert load_settings(variables).lake == root_settings(variables)


def test_the_sandbox_starts_its_server_at_the_first_request():
    pipeline = pipeline_of(SANDBOX)
    assert pipeline.settings.server is None
    assert pipeline.reachable_settings.base_url.startswith("http://127.0.0.1:")


def test_refused_credentials_are_not_retried(tmp_path):
    pipeline = pipeline_of({**ACME, "TICKET_EVENTS_ROOT": str(tmp_path)})
    with pytest.raises(AuthenticationError), pipeline.client(print):
        raise AuthenticationError("The credentials are wrong.")
    with pytest.raises(AuthenticationError, match="The credentials are wrong"), pipeline.client(print):
        raise AssertionError("there is no second client")


def test_comments_and_scope_apply_only_to_ticket_events():
    pipeline = pipeline_of({**ACME, "ZENDESK_INCLUDE_COMMENTS": "1", "ZENDESK_SUPPORT_TYPE_SCOPE": "all"})
    assert pipeline.ownership(TICKET_EVENTS) == Ownership("acme", "UTC", sideload=True, support_type_scope="all")
    assert pipeline.ownership(TICKET_METRIC_EVENTS) == Ownership("acme", "UTC", sideload=False)


def test_warnings_are_given_once():
    pipeline = pipeline_of({**SANDBOX, "ZENDESK_SUBDOMAIN": "acme"})
    assert len(pipeline.new_warnings()) == 1
    assert pipeline.new_warnings() == ()
