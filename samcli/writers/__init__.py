"""One small class per output format."""
