"""The index on disk that `sam search` reads."""
