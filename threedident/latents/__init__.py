"""Latents: the ten factors, the latent spaces, and rows sampled from a seed."""
