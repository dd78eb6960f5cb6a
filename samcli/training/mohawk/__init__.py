"""Transformers become state-space models."""
