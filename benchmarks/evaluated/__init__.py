"""What the benchmark of blinded evaluation measures, a file for each part."""
