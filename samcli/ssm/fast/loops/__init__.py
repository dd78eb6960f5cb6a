"""Loops compiled for this processor by numba, where it is installed (extra `fast`).

Each makes one pass over memory where PyTorch's operations make several. They are plain Python over numpy arrays of
float32, with bfloat16 as the bits of uint16. All modules but `compiler` need numba to be imported. `samcli.ssm` decides
where they take the place of PyTorch, after each gave PyTorch's result on a small problem.
"""
