"""`sam train distill`: a tagger teaches another."""
