"""Serving policies: the front that speaks to clients, the queues, the workers that infer."""
