"""SAM and its parts: encoders, connectors, adapters."""
