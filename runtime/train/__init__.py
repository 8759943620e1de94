"""Training of small flow policies with embodiment-aware delays (extra `train`)."""
