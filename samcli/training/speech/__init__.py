"""Teaching a model to write down speech."""
