"""All benchmarks in one run: their results, what changed since the last one, and one report."""
