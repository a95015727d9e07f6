"""Alerts: what is worth a message, what was posted already, and how a chat's webhook receives it."""
