"""Is a stored day whole? The proof from the files alone, and against the API."""
