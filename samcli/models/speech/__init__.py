"""Speech to words: a Mamba encoder that hears and a Mamba decoder that reads what was written."""
