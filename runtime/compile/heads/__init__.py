"""Policies with action queries and a head of their own: flow matching, DDIM with guidance, regression."""
