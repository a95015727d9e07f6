"""Fetches: pages of a stream over a range of days into one file per day."""
