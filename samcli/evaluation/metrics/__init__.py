"""Scores of captions, tags, events and rankings."""
