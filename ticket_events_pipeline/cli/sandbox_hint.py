"""What to set where an account has no files and the sandbox has some."""

from __future__ import annotations

from ticket_events_pipeline.storage.store import Store


def sandbox_hint(store: Store, asset: str) -> str:
    """A line, with a line break before it, that names the variable; empty where the sandbox has no file of the asset."""
    return "\nSet ZENDESK_SANDBOX=1 to see those of the sandbox." if store.paths(f"sandbox/{asset}") else ""
