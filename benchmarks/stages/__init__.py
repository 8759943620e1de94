"""Parts of the benchmark of latency: stages of an inference, how each is timed, what the machine tells meanwhile."""
