"""Measurement of speed and fidelity of every quality: ``python -m render.measure``."""
