"""Measurement of the data engine, the losses and the steps: ``python -m benchmark.measure``."""
