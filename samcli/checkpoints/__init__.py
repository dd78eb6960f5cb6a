"""Names to weights: catalogue, Hub, safetensors, converters."""
