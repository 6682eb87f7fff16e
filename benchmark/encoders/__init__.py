"""Encoders: networks given by name or import path, followed by an output space."""
