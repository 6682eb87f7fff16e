"""Ten synthetic encoders: functions of the latents whose structure is known.

References:
    identifiability-guard, on synthetic encoders that show where metrics misfire, Joshi et al.,
    2026, https://github.com/shrutij01/identifiability-guard
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.metrics.readouts.targets import Array

Encoder = Callable[[Array, np.random.Generator], Array]


def identity(z: Array, _: np.random.Generator) -> Array:
    """The latents themselves."""
    return z


def rescaled(z: Array, rng: np.random.Generator) -> Array:
    """The latents in another order, with other signs, scales and offsets."""
    n = z.shape[1]
    scale = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-2, 2, n)
    return np.asarray(z[:, rng.permutation(n)] * scale + rng.normal(size=n))


def bent(z: Array, _: np.random.Generator) -> Array:
    """Each latent bent by a monotone map: cube, exponential or hyperbolic tangent by turns."""
    bends = (lambda x: x**3, lambda x: np.exp(3.0 * x), lambda x: np.tanh(4.0 * x))
    columns = [bends[i % 3](x) for i, x in enumerate(z.T)]
    return np.stack(columns, axis=1)


def rotated(z: Array, rng: np.random.Generator) -> Array:
    """A random rotation of the latents."""
    return np.asarray(z @ _rotation(z.shape[1], rng))


def bent_then_rotated(z: Array, rng: np.random.Generator) -> Array:
    """A random rotation of bent latents, standardised before."""
    curved = bent(z, rng)
    standard = (curved - curved.mean(axis=0)) / curved.std(axis=0)
    return np.asarray(standard @ _rotation(z.shape[1], rng))


def dropped(z: Array, _: np.random.Generator) -> Array:
    """The first seven tenths of the latents; the others have no code."""
    return z[:, : max(1, round(0.7 * z.shape[1]))]


def copied(z: Array, _: np.random.Generator) -> Array:
    """Each latent twice."""
    return np.hstack([z, z])


def overcomplete(z: Array, rng: np.random.Generator) -> Array:
    """Twice as many random linear mixes as latents."""
    return np.asarray(z @ rng.normal(size=(z.shape[1], 2 * z.shape[1])))


def sine_cosine(z: Array, _: np.random.Generator) -> Array:
    """Sine and cosine of pi times each latent, as codes of a circle."""
    return np.hstack([np.sin(np.pi * z), np.cos(np.pi * z)])


def noise(z: Array, rng: np.random.Generator) -> Array:
    """Gaussian noise that does not depend on the latents."""
    return rng.normal(size=z.shape)


def _rotation(n: int, rng: np.random.Generator) -> Array:
    return np.asarray(np.linalg.qr(rng.normal(size=(n, n)))[0])


ENCODERS: dict[str, Encoder] = {
    "identity": identity,
    "rescaled": rescaled,
    "bent": bent,
    "rotated": rotated,
    "bent, then rotated": bent_then_rotated,
    "dropped factors": dropped,
    "copied factors": copied,
    "overcomplete mix": overcomplete,
    "sine and cosine": sine_cosine,
    "noise": noise,
}
