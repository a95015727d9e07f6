"""Paths of the checkout and of the samples."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

DAGSTER_YAML = CHECKOUT / "ticket_events_pipeline" / "cli" / "templates" / "dagster.yaml"
"""The shipped configuration of an instance."""

SAMPLES = CHECKOUT / "ticket_events_pipeline_tests" / "samples"
