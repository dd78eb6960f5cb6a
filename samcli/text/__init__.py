"""Tokenizer, prompts, label names and synonyms."""
