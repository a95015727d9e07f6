"""The checks of `ticket-events doctor` that ask Zendesk: credentials, both streams, the quota, and whether SLAs are applied.

They come after all others: while a backfill uses up the quota, they wait for their share of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ticket_events_pipeline.cli.doctor_checks import QUIET_SECONDS, Check, Deployment, Finding, Status
from ticket_events_pipeline.cli.waits import UnansweredError
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.quality.traffic import APPLY_TYPES, day_traffic
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, SLA_STREAMS
from ticket_events_pipeline.text import duration_text, plural
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline.zendesk.shared_rate_limit import PLENTY


def check_credentials(deployment: Deployment) -> Iterator[Finding]:
    """Whether the account accepts the credentials, and until when."""
    if not deployment.are_settings_valid:
        return
    answers = deployment.answers
    if not answers.pages:
        yield from (Finding.failed("credentials", str(error)) for error in answers.failures.values())
        return
    base_url = deployment.pipeline.reachable_settings.base_url
    made = plural(answers.requests, "request")
    yield Finding("credentials", Status.OK, f"credentials: {base_url} accepts them ({made} made)")
    if answers.token_end is not None:
        now = wall_clock()
        is_far = answers.token_end.expires_at is not None and not answers.token_end.is_soon(now)
        yield Finding("credentials", Status.OK if is_far else Status.NOTE, answers.token_end.sentence(now))


def check_streams(deployment: Deployment) -> Iterator[Finding]:
    """Whether each stream can be read, and how new its events are."""
    if not deployment.are_settings_valid:
        return
    answers = deployment.answers
    for name, page in answers.pages.items():
        yield _stream_finding(name, page)
    if answers.pages:
        yield from (Finding.failed(name, str(error)) for name, error in answers.failures.items())


def _stream_finding(name: str, page: EventPage) -> Finding:
    now = page.server_time or wall_clock()
    if not page.rows:
        text = f"{name}: can be read, but has no event of the last {duration_text(QUIET_SECONDS)}"
        return Finding(name, Status.NOTE, text, "Check that this is the right account.")
    newest = "" if page.newest is None else f", the newest of them {duration_text(max(0, now - page.newest))} old"
    since = duration_text(max(0, now - page.start_time))
    is_end = page.end_of_stream or len(page.rows) < page.page_limit
    more = "" if is_end else "; there are more after them"
    return Finding(name, Status.OK, f"{name}: can be read; {plural(len(page.rows), 'event')} since {since} ago{newest}{more}")


def check_quota(deployment: Deployment) -> Iterator[Finding]:
    """The export quota as the server states it, next to what is configured."""
    if not deployment.are_settings_valid or not deployment.answers.pages:
        return
    configured, quota = deployment.pipeline.settings.requests_per_minute, deployment.answers.quota
    variable = "ZENDESK_REQUESTS_PER_MINUTE"
    if quota is None or quota.total is None:
        text = f"quota: the answers state none; the pace is {configured} requests a minute ({variable})"
        yield Finding("quota", Status.OK, text)
        return
    text = f"quota: the server grants {plural(quota.total, 'request')} a minute, {quota.remaining:,} of them are left now"
    if quota.total == configured or quota.total >= PLENTY:
        yield Finding("quota", Status.OK, text)
    else:
        text += f"; {variable} is {configured}. The server's number is obeyed"
        yield Finding("quota", Status.NOTE, text, f"Set {variable}={quota.total}, so that `plan` estimates with it.")


def check_slas(deployment: Deployment) -> Iterator[Finding]:
    """Whether SLA policies are applied at all: without one there is no target, and no breach."""
    if not deployment.are_settings_valid:
        return
    pages = [page for name, page in deployment.answers.pages.items() if name in SLA_STREAMS]
    types = [row.get("type") for page in pages for row in page.rows if isinstance(row.get("metric"), str)]
    events, applies, where = len(types), sum(kind in APPLY_TYPES for kind in types), "that were read now"
    if not applies and deployment.root_problem is None:
        store, timezone = deployment.pipeline.store, deployment.pipeline.root_settings.timezone
        with suppress(UnansweredError):
            events, applies, where = deployment.of_root(lambda: _stored_slas(store, timezone)) or (events, applies, where)
    if applies:
        yield Finding("slas", Status.OK, f"SLAs: {applies:,} of {plural(events, 'metric event')} {where} apply a policy")
    elif events:
        text = (
            f"SLAs: none of {plural(events, 'metric event')} {where} applies a policy. Without one there are no targets: "
            "the SLA tables stay empty, and no breach is ever found."
        )
        fix = "Check in Zendesk's Admin Center (Objects and rules > Service level agreements) that a policy fits your tickets."
        yield Finding("slas", Status.NOTE, text, fix)
    elif pages:
        yield Finding("slas", Status.NOTE, "SLAs: not known whether any are applied: no metric event was seen.")


def _stored_slas(store: Store, timezone: str) -> tuple[int, int, str] | None:
    """How many metric events the newest day that has any holds, how many of them apply a policy, and which day; None: none."""
    for day in reversed(stored_days(store, METRIC_EVENTS, timezone)[-3:]):
        traffic = day_traffic(store, METRIC_EVENTS, day)
        if traffic is not None and traffic.events:
            return traffic.events, traffic.applies, f"of {day}"
    return None


ACCOUNT_CHECKS: tuple[Check, ...] = (
    check_credentials,
    check_streams,
    check_quota,
    check_slas,
)
"""In the order of their lines."""
