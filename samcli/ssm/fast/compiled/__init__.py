"""PyTorch modules handed to the compiled loops."""
