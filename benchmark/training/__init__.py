"""Training of one seed of a run, from its first step to its final scores."""
