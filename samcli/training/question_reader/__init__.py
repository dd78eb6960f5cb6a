"""Training of the question reader: grammars, noise, the loop."""
