"""Loops compiled for this processor by numba, where it is installed (extra `fast`), and PyTorch modules handed to them.

Each loop makes one pass over memory where PyTorch's operations make several. `arithmetic`, `stretches` and `tokens` are
the loops: plain Python over numpy arrays of float32, with bfloat16 as the bits of uint16; they need numba to be
imported. `decoding`, `reading` and `norms` take the place of PyTorch after each gave its result on a small problem.
"""
