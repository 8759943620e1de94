"""A campaign on a simulated robot, with policies whose quality is known."""
