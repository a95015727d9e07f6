"""Browser tests: pages in a real Chromium."""
