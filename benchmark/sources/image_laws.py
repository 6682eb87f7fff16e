"""Laws of pairs of images: p(z~ | z) of nearest and of rendered positives."""

from __future__ import annotations

from benchmark.settings import ImageSettings
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.law import Law, parse_laws
from threedident.conditionals.product import Part, Product
from threedident.dataset.split import ThreeDIdent
from threedident.latents.factor_set import FactorSet
from threedident.latents.spaces import find_space


def rendered_law(positives: ThreeDIdent) -> tuple[Law | None, str | None]:
    """The law that rendered positives were drawn from, or their rule.

    Neither if factors have one law with different scales.
    """
    manifest = positives.manifest
    assert manifest is not None
    text = manifest.origin.conditional or ""
    if "=" in text:
        return None, text
    laws = parse_laws(text)
    return (laws[0] if len(laws) == 1 else None), None


def nearest_law(settings: ImageSettings) -> Conditional:
    """The conditional of nearest pairs: it moves the scored factors, and copies all others.

    Factors in [-1, 1] follow the law. A point on the sphere follows von Mises-Fisher with
    kappa = 1 / sigma, as in the paper.
    """
    law, chosen = settings.conditional, settings.factor_set
    if law is None:
        raise ValueError("conditional: expected one for pairs by nearest latent, found none")
    if chosen == FactorSet():
        return law.conditional("box")
    flat, sphere = chosen.columns[: chosen.flat], chosen.columns[chosen.flat :]
    parts = [Part(flat, law.conditional("box"))] if flat else []
    if sphere:
        parts.append(Part(sphere, Law("vmf", law.sigma).conditional("sphere")))
    return Product(find_space(settings.space).count, tuple(parts))
