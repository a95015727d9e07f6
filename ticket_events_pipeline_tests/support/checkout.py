"""Paths of the checkout and of the samples."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

TEMPLATES = CHECKOUT / "ticket_events_pipeline" / "cli" / "templates"

SAMPLES = CHECKOUT / "ticket_events_pipeline_tests" / "samples"
