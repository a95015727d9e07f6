"""Retention: old days are removed for good, and no figure of a later day changes."""
