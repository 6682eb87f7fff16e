"""Executors, which run workers on this machine, on a Ray cluster or in a SLURM queue."""
