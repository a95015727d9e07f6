"""Alerts: which facts are worth a message, what was told already, and the webhook that takes it."""
