"""The ZeroMQ link between the runtime and a driver process."""
