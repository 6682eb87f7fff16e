"""Data sets on disk: folders, manifests, origins of latents, statistics, verification."""
