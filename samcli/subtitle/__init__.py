"""Subtitles with sounds: what matters is heard in a film and told between its dialogue, which stays as it is."""
