"""What is decided before the first trial: the campaign, its schedule, its seals."""
