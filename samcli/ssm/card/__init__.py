"""Speaking on a card: whole steps captured and launched as one, and a search that never waits for the processor."""
