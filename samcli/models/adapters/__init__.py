"""Adapters: what a model learned beside its weights."""
