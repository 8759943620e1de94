"""A policy that a server somewhere else has loaded, as the policy of one robot."""
