"""Rows as Zendesk sends them into the columns of their table."""
