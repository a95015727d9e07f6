"""A simulated Zendesk account and its HTTP server."""
