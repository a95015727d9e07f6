"""Two Zendesk accounts, side by side in one code location."""
