"""Corpus, scenes, words, losses and the loop."""
