"""Variational autoencoders: codes are means of a posterior from which a decoder reconstructs."""
