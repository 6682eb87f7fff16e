"""Where workers run: this machine, a Ray cluster, a SLURM queue."""
