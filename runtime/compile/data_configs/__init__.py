"""Published data configurations: which key fills which slots, and how it is normalized."""
