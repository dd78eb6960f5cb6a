"""From paths to windows and back: find, decode ahead, batch, carry state, resume."""
