"""Parts of the benchmark of engines."""
