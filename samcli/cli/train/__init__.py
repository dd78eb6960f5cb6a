"""`sam train`: one file for each of its commands."""
