"""Command line and services."""
