"""What scores are worth: a map that makes them probabilities, thresholds of each label, and how far off they are."""
