"""Corpus, words, losses, the loop, and a recipe for each kind of training."""
