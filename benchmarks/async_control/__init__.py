"""Asynchronous control under delay: tasks, policies and the ways of joining chunks, in virtual time."""
