"""Two network namespaces and the path between them: delay, jitter, loss, a rate and outages, with real kernels' TCP."""
