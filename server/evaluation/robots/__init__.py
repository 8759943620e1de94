"""Robots that a campaign drives."""
