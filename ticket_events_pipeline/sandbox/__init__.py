"""A simulated Zendesk account and the HTTP server it lives behind."""
