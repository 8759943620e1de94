"""How evenly control loops run: ours and its peers', each in a process and an environment of its own."""
