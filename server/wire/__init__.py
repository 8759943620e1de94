"""Bytes of the protocols that policy clients speak: pure functions, no sockets and no threads."""
