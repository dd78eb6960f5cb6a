"""Metrics and the figures we publish."""
