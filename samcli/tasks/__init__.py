"""Caption, tag, ask: from audio windows to records."""
