"""From published checkpoints to policy bundles (extra `compile`)."""
