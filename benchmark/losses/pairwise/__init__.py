"""Losses of the similarities of pairs and negatives: one critic, and the losses that train it."""
