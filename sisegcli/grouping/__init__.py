"""From displacement and boundary to labels: pure functions on arrays, no files and no torch."""
