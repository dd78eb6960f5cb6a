"""The same mathematics, faster: kernels chosen by hand, each checked against plain PyTorch before it is used.

On a card, whole steps are captured and launched as one (`graphs`), and a search never waits for the processor
(`beams`).
"""
