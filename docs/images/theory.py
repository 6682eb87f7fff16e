"""The picture of the theory page: InfoNCE over the number of negatives, and its limit.

``python docs/images/theory.py`` writes ``theory.json``, the plotted numbers, and ``theory.png``
beside this file. The numbers depend on the seeds below alone.

Latents z are uniform on the unit sphere in R^n, positives z~ are von Mises-Fisher around them,
q(z~ | z) = exp(kappa z . z~) / C(kappa). Codes are the latents themselves, the similarity is the
dot product, and the temperature is 1 / kappa, so the model matches. With A the area of the sphere,
I the modified Bessel function and M negatives,

    C(kappa)   = (2 pi)^(n/2) I_{n/2-1}(kappa) / kappa^(n/2-1)
    alignment  = -kappa I_{n/2}(kappa) / I_{n/2-1}(kappa)
    uniformity = log C(kappa) - log A
    loss - log M -> alignment + uniformity = H(q) - log A,

and the loss exceeds its own two terms by r / M to first order, r = C(2 kappa) A / C(kappa)^2.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import gammaln, ive

from benchmark.losses import DotSimilarity, info_nce_terms
from threedident import VonMisesFisher

HERE = Path(__file__).parent
NEGATIVES = tuple(4**k for k in range(1, 7))
ANCHORS = 80_000  # of each measured point, at least
CASES = {
    "circle, κ = 1": (2, 1.0),
    "sphere in R³, κ = 3": (3, 3.0),
    "sphere in R¹⁰, κ = 5": (10, 5.0),
}


@dataclass(frozen=True)
class Curve:
    """One case: its closed form, and what was measured at each number of negatives.

    Arguments:
        alignment: its closed form.
        uniformity: its closed form.
        ratio: r.
        losses: measured means of loss - log M.
        gaps: measured means of loss - log M - alignment - uniformity of the same batches.
    """

    alignment: float
    uniformity: float
    ratio: float
    losses: tuple[float, ...]
    gaps: tuple[float, ...]

    @property
    def limit(self) -> float:
        """What loss - log M falls to."""
        return self.alignment + self.uniformity


def log_normaliser(kappa: float, n: int) -> float:
    """Log C(kappa) on the unit sphere in R^n."""
    order = n / 2 - 1
    log_bessel = math.log(ive(order, kappa)) + kappa
    return n / 2 * math.log(2 * math.pi) + log_bessel - order * math.log(kappa)


def log_area(n: int) -> float:
    """Log A of the unit sphere in R^n."""
    return math.log(2) + n / 2 * math.log(math.pi) - float(gammaln(n / 2))


def measured(n: int, kappa: float, negatives: int) -> tuple[float, float]:
    """Means of loss - log M, and of what it exceeds its two terms by."""
    rng = np.random.default_rng((n, negatives))
    batches = -(-ANCHORS // (negatives + 1))
    found = np.empty((batches, 2))
    for number in range(batches):
        z = rng.normal(size=(negatives + 1, n))
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        positives = VonMisesFisher(kappa).sample(z, rng)
        views = torch.from_numpy(z), torch.from_numpy(positives)
        terms = info_nce_terms(*views, DotSimilarity(), temperature=1 / kappa)
        loss = terms.loss.item() - math.log(negatives)
        found[number] = loss, loss - terms.alignment.item() - terms.uniformity.item()
    loss, gap = found.mean(axis=0).tolist()
    return loss, gap


def curve(n: int, kappa: float) -> Curve:
    """One case at all numbers of negatives."""
    points = [measured(n, kappa, negatives) for negatives in NEGATIVES]
    normaliser, area = log_normaliser(kappa, n), log_area(n)
    losses, gaps = zip(*points, strict=True)
    return Curve(
        alignment=-kappa * float(ive(n / 2, kappa) / ive(n / 2 - 1, kappa)),
        uniformity=normaliser - area,
        ratio=math.exp(log_normaliser(2 * kappa, n) + area - 2 * normaliser),
        losses=losses,
        gaps=gaps,
    )


def curves() -> dict[str, Curve]:
    """All cases, by the name in the legend."""
    return {name: curve(n, kappa) for name, (n, kappa) in CASES.items()}


def draw(found: dict[str, Curve]) -> Figure:
    """The picture of all cases."""
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for color, marker, (name, case) in zip(("C0", "C1", "C2"), "os^", found.items(), strict=True):
        left.plot(NEGATIVES, case.losses, marker, color=color, label=name, markersize=5)
        left.axhline(case.limit, color=color, linewidth=1)
        right.plot(NEGATIVES, case.gaps, marker, color=color, markersize=5)
        right.plot(NEGATIVES, case.ratio / np.array(NEGATIVES), color=color, linewidth=1)
    left.set_title("loss - log M (points) and its limit (lines)", loc="left", fontsize=9)
    right.set_title("loss - log M - alignment - uniformity; lines r / M", loc="left", fontsize=9)
    right.set_yscale("log")
    left.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        _finish(axis)
    return figure


def _finish(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.set_xlabel("negatives M")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Write the numbers and the picture."""
    found = curves()
    numbers = {name: asdict(case) for name, case in found.items()}
    (HERE / "theory.json").write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")
    draw(found).savefig(HERE / "theory.png", dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
