"""Property tests: drawn inputs against a slow, plain second implementation."""
