"""Losses that predict given targets: latents, or the number of the anchor's row."""
