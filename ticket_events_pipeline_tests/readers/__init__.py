"""What other tools make of the stored files: recipes to read them, and a run that tries each of them out."""
