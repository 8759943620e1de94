"""Trials as a pure state machine: commands in, a book of trials out."""
