"""Where trials are kept: a database, and a signed log in it."""
