"""Data quality: is a stored day whole? Checks over the stored files, and against the API."""
