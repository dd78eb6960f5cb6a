"""What was heard, for people to look at: a summary, a page, a picture."""
