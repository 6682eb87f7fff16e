"""Latents: the ten factors, the spaces they live in, and rows drawn by seed."""
