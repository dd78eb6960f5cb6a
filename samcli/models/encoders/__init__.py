"""Audio encoders: the one of sam-nano and the published ones."""
