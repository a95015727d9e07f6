"""Retries: bounded in number and time, in this one place.

https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.zendesk.answers import Retryable, TooLarge

MAX_ATTEMPTS = 12
"""Halving a page of 1,000 rows down to one takes eleven."""

MAX_SECONDS = 15 * 60.0
"""Longer than usual outages; a run that fails after that resumes where it stopped when it is started again."""

_LONGEST_BACKOFF_SECONDS = 60.0

RESUMES = (
    "No stored data was changed. Check https://status.zendesk.com and the network, then run it again: "
    "it resumes where it stopped."
)
"""What to do after a fetch has given up."""

Log = Callable[[str], None]
Sleep = Callable[[float], None]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How long one request is tried: `attempts` at most, and no longer than `seconds`, waits included.

    `remedy` ends the message after the last one.
    """

    attempts: int = MAX_ATTEMPTS
    seconds: float = MAX_SECONDS
    remedy: str = RESUMES


OF_A_FETCH = Patience()


def call_with_retries(attempt: Callable[[], _T], *, what: str, sleep: Sleep, log: Log, patience: Patience = OF_A_FETCH) -> _T:
    """The result of `attempt`, called again as long as it raises Retryable and `patience` allows.

    Waits what the server asks for, else an exponentially growing time with full jitter. `what` names the request in messages.

    Raises:
        TransientError: the bounds are exhausted; states the request, the attempts and the responses.
    """
    reasons: list[str] = []

    def record_reason(state: tenacity.RetryCallState) -> None:
        reasons.append(_failure(state).reason)

    def log_wait(state: tenacity.RetryCallState) -> None:
        log(f"{what}: {_failure(state).reason}; waiting {state.upcoming_sleep:.0f} s, then attempt {state.attempt_number + 1}")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Retryable),
        wait=_wait_seconds,
        stop=lambda state: _is_exhausted(state, patience),
        after=record_reason,
        before_sleep=log_wait,
        sleep=sleep,
    )
    try:
        return retrying(attempt)
    except tenacity.RetryError as error:
        failure = error.last_attempt.exception()
        raise TransientError(_exhausted(what, reasons, failure, patience.remedy)) from failure


def _failure(state: tenacity.RetryCallState) -> Retryable:
    failure = state.outcome.exception() if state.outcome else None
    return failure if isinstance(failure, Retryable) else Retryable(repr(failure))


_jittered = tenacity.wait_random_exponential(multiplier=1, max=_LONGEST_BACKOFF_SECONDS)


def _wait_seconds(state: tenacity.RetryCallState) -> float:
    failure = _failure(state)
    if isinstance(failure, TooLarge):
        return 0.0  # a smaller page is requested next: nothing to wait for
    if failure.wait_seconds is None:
        return _jittered(state)
    # Repeated answers of "0 seconds" must not use up all attempts immediately.
    return max(failure.wait_seconds, float(state.attempt_number))


def _is_exhausted(state: tenacity.RetryCallState, patience: Patience) -> bool:
    # idle_for too: where sleep is injected, no real time passes.
    spent_seconds = max(state.idle_for, state.seconds_since_start or 0.0)
    return state.attempt_number >= patience.attempts or spent_seconds + state.upcoming_sleep > patience.seconds


def _exhausted(what: str, reasons: list[str], failure: BaseException | None, remedy: str) -> str:
    responses = "; ".join(f"{count} times {reason}" if count > 1 else reason for reason, count in Counter(reasons).items())
    asked_wait = failure.wait_seconds if isinstance(failure, Retryable) else None
    wish = f" The server asks to wait {asked_wait:.0f} s." if asked_wait else ""
    attempts = f"{len(reasons)} attempt{'' if len(reasons) == 1 else 's'}"
    return f"{what}: failed after {attempts}. Responses: {responses}.{wish} {remedy}"
