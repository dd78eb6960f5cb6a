"""Our own kernels for CUDA, written in Triton, each with the arguments of the plain PyTorch it stands in for."""
