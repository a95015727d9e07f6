"""`ZendeskTicketEvents`: one account of several in a code location, as a Dagster component configured in YAML.

The fields of the YAML become the environment variables of a single account. https://docs.dagster.io/guides/build/components
"""

# No deferred annotations here: Dagster makes the YAML's schema of them as they stand.

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal

import dagster as dg
from pydantic import AfterValidator, Field

from ticket_events_pipeline.alerts.destinations import NOTIFY_URLS, WEBHOOK
from ticket_events_pipeline.credentials import SANDBOX_TOKEN, SANDBOX_URL
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.scope import AccountScope, account_scope
from ticket_events_pipeline.publish_settings import DEFAULT_CATALOG, DELTA, ICEBERG, PUBLISH_CATALOG, PUBLISH_URIS
from ticket_events_pipeline.settings import DEFAULT_START_DATE
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.variables import NONE


def _variable_name(text: str) -> str:
    # The text isn't quoted: people paste the credential itself.
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", text):
        raise ValueError(
            "give the name of the environment variable that holds it, in capitals (ACME_CLIENT_SECRET), never the credential"
        )
    return text


def _key(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text):
        raise ValueError(f"{text!r} is not a name: letters, digits and underscores, a letter first")
    return text


VariableName = Annotated[str, AfterValidator(_variable_name)]
Name = Annotated[str, AfterValidator(_key)]


class CredentialVariables(dg.Model, dg.Resolvable):
    """Names of the environment variables that hold an admin's credentials: exactly one set, as in docs/reference/variables.md.

    Use the OAuth client (`oauth_client_id`, `oauth_client_secret`) for scheduled runs.
    """

    oauth_client_id: VariableName | None = None
    oauth_client_secret: VariableName | None = None
    oauth_token: VariableName | None = None
    email: VariableName | None = None
    api_token: VariableName | None = None
    password: VariableName | None = None


SETTINGS = {
    "subdomain": "ZENDESK_SUBDOMAIN",
    "former_subdomains": "ZENDESK_FORMER_SUBDOMAINS",
    "base_url": "ZENDESK_BASE_URL",
    "sandbox": "ZENDESK_SANDBOX",
    "root": "TICKET_EVENTS_ROOT",
    "timezone": "TICKET_EVENTS_TIMEZONE",
    "start_date": "TICKET_EVENTS_START_DATE",
    "requests_per_minute": "ZENDESK_REQUESTS_PER_MINUTE",
    "timeout_seconds": "ZENDESK_TIMEOUT_SECONDS",
    "include_comments": "ZENDESK_INCLUDE_COMMENTS",
    "support_type_scope": "ZENDESK_SUPPORT_TYPE_SCOPE",
    "restate_days": "TICKET_EVENTS_RESTATE_DAYS",
    "retain_days": "TICKET_EVENTS_RETAIN_DAYS",
    "ticket_tables": "TICKET_EVENTS_TICKET_TABLES",
    "snapshots": "ZENDESK_SNAPSHOTS",
    "names": "ZENDESK_NAMES",
    "dimensions": "TICKET_EVENTS_DIMENSIONS",
    "report_url": "TICKET_EVENTS_REPORT_URL",
    "publish_delta": PUBLISH_URIS[DELTA],
    "publish_iceberg": PUBLISH_URIS[ICEBERG],
    "publish_catalog": PUBLISH_CATALOG,
}
"""Fields whose values become the account's variables."""

CREDENTIALS = {
    "oauth_client_id": "ZENDESK_OAUTH_CLIENT_ID",
    "oauth_client_secret": "ZENDESK_OAUTH_CLIENT_SECRET",
    "oauth_token": "ZENDESK_OAUTH_TOKEN",
    "email": "ZENDESK_EMAIL",
    "api_token": "ZENDESK_API_TOKEN",
    "password": "ZENDESK_PASSWORD",
}
"""Fields that name the variable with a value that a run needs."""

SHARED = {
    "requests_per_minute",
    "timeout_seconds",
    "include_comments",
    "support_type_scope",
    "restate_days",
    "retain_days",
    "ticket_tables",
    "snapshots",
    "names",
}
"""Fields that fall back to the environment, for all accounts. All other fields belong to one account."""


class ZendeskTicketEvents(dg.Component, dg.Model, dg.Resolvable):
    """A Zendesk account: its ticket events in daily Parquet files, and the SLA breaches in them.

    A code location can have several: each has its own keys (`<name>/ticket_events` …), jobs, schedules, sensors, folder
    and quota.
    """

    subdomain: str | None = Field(None, description="acme for https://acme.zendesk.com")
    former_subdomains: list[str] | None = Field(
        None, description="Earlier names of the account; their files belong to it. Keep `name` as it was then."
    )
    base_url: str | None = Field(None, description="Another base URL; plain http only to this machine.")
    sandbox: bool = Field(False, description="The embedded simulated account instead of a real one.")
    credentials: CredentialVariables = Field(
        default_factory=CredentialVariables, description="Names of the environment variables with the credentials."
    )
    name: Name | None = Field(
        None, description="Prefix of keys, jobs and sensors. Default: the subdomain, with underscores for hyphens."
    )
    root: str | None = Field(
        None, description="Folder or object store of the files. Default: a folder of the account's name in TICKET_EVENTS_ROOT."
    )
    timezone: str = Field("UTC", description="IANA zone of the partition days.")
    start_date: str | None = Field(
        None, description=f"The first partition, YYYY-MM-DD. Default: {DEFAULT_START_DATE}; for the sandbox, 30 days ago."
    )
    requests_per_minute: int | None = Field(None, description="The account's export quota; default 10.")
    timeout_seconds: int | None = Field(None, description="Read timeout of one request; default 60.")
    include_comments: bool | None = Field(None, description="Store what people wrote; default no.")
    support_type_scope: Literal["agent", "all", "ai_agent"] | None = Field(
        None, description="Whose tickets the ticket events hold: agents' (the default), all, or those of AI agents."
    )
    restate_days: int | None = Field(None, description="Closed days that the daily restatement re-reads; default 3.")
    retain_days: str | None = Field(
        None, description=f"For how many days files are kept, as in '730, {AUDITS}=90'. Default: for ever."
    )
    ticket_tables: bool | None = Field(
        None, description="Whether the ticket tables are made, which say who held a ticket when it breached; default yes."
    )
    snapshots: bool | None = Field(None, description="Whether tickets are asked for what no stored audit tells; default yes.")
    names: list[str] | None = Field(
        None, description="Which names are fetched: groups, agents …; an empty list for none. Default: all."
    )
    dimensions: list[str] | None = Field(
        None, description="Custom fields that breaches are split by, as custom_field:360041597112."
    )
    report_url: str | None = Field(None, description="Address under which the folder of its reports is served.")
    publish_delta: str | None = Field(None, description="Folder or object store of its Delta tables; none without it.")
    publish_iceberg: str | None = Field(None, description="Folder or object store of its Iceberg tables; none without it.")
    publish_catalog: str | None = Field(
        None, description=f"Catalog and namespace of its Iceberg tables. Default: {DEFAULT_CATALOG}."
    )
    alert_webhook: VariableName | None = Field(
        None, description=f"Name of the variable that holds the URL its alerts go to. Default: {WEBHOOK}."
    )
    notify_urls: VariableName | None = Field(
        None, description=f"Name of the variable that holds the URLs its alerts go to besides. Default: {NOTIFY_URLS}."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Everything that Dagster loads for the account."""
        return account_definitions(self.scope())

    def scope(self) -> AccountScope:
        """The account's scope.

        Raises:
            ValueError: there is neither a name nor a subdomain that can be one.
            SettingsError: the first day or the timezone is malformed.
        """
        name = self.account_name()
        fields = self.credentials.model_dump()
        spelled = {variable: field for field, variable in SETTINGS.items()}
        spelled |= {variable: name for variable, name in self._url_variables().items() if name}
        spelled |= {variable: fields[field] or f"credentials.{field}" for field, variable in CREDENTIALS.items()}
        return account_scope(name, self.environment, spelled)

    def account_name(self) -> str:
        """The prefix of everything of the account.

        Raises:
            ValueError: there is neither a name nor a subdomain that can be one; or the account was renamed, and nothing says
                where its files are.
        """
        if self.name is not None:
            return self.name
        if self.subdomain is None:
            raise ValueError("ZendeskTicketEvents: give a name, or a subdomain to take it from")
        if self.former_subdomains and self.root is None:  # its folder would be a new and empty one
            raise ValueError(
                f"ZendeskTicketEvents: {self.subdomain} had another name before. Give the name that its keys and its folder "
                f"have (name: {self.former_subdomains[-1].replace('-', '_')}), or the folder of its files as root"
            )
        try:
            return _key(self.subdomain.replace("-", "_"))
        except ValueError as error:
            raise ValueError(f"ZendeskTicketEvents: {error}; give a name in addition to that subdomain") from None

    def environment(self) -> Mapping[str, str]:
        """The account's variables as for a single account; credentials are read from the environment now."""
        given = {variable: getattr(self, field) for field, variable in SETTINGS.items()}
        given["TICKET_EVENTS_ROOT"] = self.root or "/".join(
            [os.environ.get("TICKET_EVENTS_ROOT", "").strip().rstrip("/") or "data", self.account_name()]
        )
        set_here = {variable: _text(value) for variable, value in given.items() if value is not None}
        if self.names is not None and not self.names:
            set_here[SETTINGS["names"]] = NONE
        own = {variable for field, variable in SETTINGS.items() if field not in SHARED} | set(CREDENTIALS.values())
        own |= {SANDBOX_URL, SANDBOX_TOKEN}  # one simulated account; here, each sandbox is another
        shared = {variable: value for variable, value in os.environ.items() if variable not in own}
        sources = self.credentials.model_dump()
        secrets = {
            variable: os.environ.get(sources[field], "")
            for field, variable in CREDENTIALS.items()
            if sources[field] is not None
        }
        urls = {variable: os.environ.get(name, "") for variable, name in self._url_variables().items() if name is not None}
        return {**shared, **set_here, **secrets, **urls}

    def _url_variables(self) -> dict[str, str | None]:
        """By variable of a single account, the one that holds this account's URLs."""
        return {WEBHOOK: self.alert_webhook, NOTIFY_URLS: self.notify_urls}


def _text(value: str | int | bool | list[str]) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(int(value)) if isinstance(value, bool) else str(value)
