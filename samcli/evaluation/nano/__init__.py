"""The suite that measures a model on the development split of the corpus."""
