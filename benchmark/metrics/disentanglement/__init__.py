"""Disentanglement: which code holds which factor, beyond correlation."""
