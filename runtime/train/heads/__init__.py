"""Reference models of policies with action queries, in PyTorch, and how they are trained (extra `train`)."""
