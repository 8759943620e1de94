"""Benchmarks: everything that is about time."""
