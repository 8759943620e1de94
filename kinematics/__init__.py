"""Robot models and kinematics."""
