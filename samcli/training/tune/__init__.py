"""`sam train tune`: a model learns a person's own sounds."""
