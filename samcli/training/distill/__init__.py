"""`sam train distill`: a tagger trains another."""
