"""Zendesk's incremental event exports: one request, one page, one walk along a stream."""
