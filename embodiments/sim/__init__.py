"""Simulated twins in MuJoCo (extra `sim`)."""
