"""Robots as data: specs, adapters, the ZeroMQ link, drivers and simulated twins."""
