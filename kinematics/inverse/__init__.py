"""Inverse kinematics, in its parts; `unichunk.kinematics` exports what is for use."""
