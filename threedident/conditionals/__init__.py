"""Conditional densities p(z~ | z) of positive pairs."""

from threedident.conditionals.anisotropic import Anisotropic
from threedident.conditionals.autoregressive import Autoregressive
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Uniform

__all__ = [
    "Anisotropic",
    "Autoregressive",
    "Conditional",
    "GeneralizedNormal",
    "Laplace",
    "Normal",
    "Uniform",
    "VonMisesFisher",
]
