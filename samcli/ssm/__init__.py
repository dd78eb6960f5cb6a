"""The mathematics: selective scans, state-space duality, blocks, state, kernels."""
