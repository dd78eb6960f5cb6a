"""Commands that show what was heard, and what is there."""
