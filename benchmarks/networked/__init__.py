"""The runtime with its policy at the other end of a network: delay, jitter, loss, outages."""
