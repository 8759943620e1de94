"""The runtime: chunking, ring buffer, latency commitment, the two threads, guard, supervisor, telemetry."""
