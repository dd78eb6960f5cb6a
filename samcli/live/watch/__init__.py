"""Folders that fill: each file heard once, when it is complete."""
