"""What all benchmarks share: interleaved repetitions, ratios with intervals, documents, pages and plots."""
