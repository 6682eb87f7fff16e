"""Encoders: networks by name or import path, under an output space."""
