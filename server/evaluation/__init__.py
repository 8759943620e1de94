"""Blinded evaluation: frozen plans, hidden policies, trials that survive crashes, honest statistics."""
