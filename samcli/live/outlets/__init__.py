"""Where what was heard goes."""
