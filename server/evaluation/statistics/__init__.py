"""What the trials show: intervals, tests, posteriors, power."""
