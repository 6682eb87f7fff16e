"""Requested and delivered steps of pairs.

A nearest-latent lookup returns rendered images only, so the step between the two images is wider
than the step drawn from the conditional. This module measures both as the root mean square of
z~ - z in every column. For Normal steps far from the ends of the box this equals their scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from threedident.runtime.cards import Card

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, repr=False)
class Delivered(Card):
    """Comparison of requested and delivered steps.

    Arguments:
        columns: names of the latents' columns, d of them.
        requested: root mean square of the steps that the conditional draws, shape (d,).
        delivered: root mean square of the steps between the latents of the two images, (d,).
        anchor_snaps: Euclidean distance from each drawn anchor to the latents of its image,
            shape (N,).
        positive_snaps: the same distance for each positive, shape (N,).
        agreeing: share of pairs whose images agree exactly in every factor that the rule keeps in
            them, among pairs in which it keeps any; None if it keeps none.
    """

    columns: tuple[str, ...]
    requested: Array
    delivered: Array
    anchor_snaps: Array
    positive_snaps: Array
    agreeing: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The steps, and quantiles of the snap distances, as a JSON object."""
        agreeing = {} if self.agreeing is None else {"agreeing": self.agreeing}
        return {
            "pairs": len(self.anchor_snaps),
            **agreeing,
            "requested": dict(zip(self.columns, self.requested.tolist(), strict=True)),
            "delivered": dict(zip(self.columns, self.delivered.tolist(), strict=True)),
            "anchor_snaps": _quantiles(self.anchor_snaps),
            "positive_snaps": _quantiles(self.positive_snaps),
        }

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        steps = zip(self.columns, self.requested, self.delivered, strict=True)
        snaps = [float(np.median(s)) for s in (self.anchor_snaps, self.positive_snaps)]
        kept = {} if self.agreeing is None else {"kept factors": self.agreement}
        return {
            "pairs": str(len(self.anchor_snaps)),
            "steps": "root mean square of z~ - z, delivered for requested",
            **{name: f"{got:.3f} for {asked:.3f}" for name, asked, got in steps},
            **kept,
            "snap distances": f"median {snaps[0]:.3f} of anchors, {snaps[1]:.3f} of positives",
        }

    @property
    def agreement(self) -> str:
        """The share of pairs that agree in what the rule keeps, in words."""
        return f"{self.agreeing or 0.0:.1%} of pairs agree exactly in all that the rule keeps"

    def figure(self) -> Figure:
        """Figure with bars of requested and delivered steps, and histograms of snap distances."""
        from matplotlib.figure import Figure  # slow to import, and only figures need it

        figure = Figure(figsize=(12.5, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        self.draw_steps(left)
        self.draw_snaps(right)
        return figure

    def draw_steps(self, axis: Axes) -> None:
        """Draw bars of requested and delivered steps, with the legend above the axes."""
        places = np.arange(len(self.columns))
        axis.bar(places - 0.2, self.requested, 0.4, color="C0", label="requested")
        axis.bar(places + 0.2, self.delivered, 0.4, color="C1", label="delivered")
        axis.set_xticks(places, self.columns, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_ylabel("root mean square of z~ - z")
        _finish(axis, "steps")

    def draw_snaps(self, axis: Axes) -> None:
        """Draw histograms of the snap distances, with the legend above the axes."""
        snaps = {"anchor": self.anchor_snaps, "positive": self.positive_snaps}
        for name, values in snaps.items():
            if values.any():
                axis.hist(values, bins=40, histtype="step", label=name)
            else:
                axis.plot([], [], " ", label=f"{name}: 0, exact")
        axis.set(xlabel="distance to what is shown", ylabel="pairs")
        _finish(axis, "snaps")


def measure(
    shown: tuple[NDArray[np.float32], NDArray[np.float32]],
    drawn: tuple[Array, Array],
    exact: bool,
    columns: Sequence[str],
    kept: NDArray[np.bool_] | None = None,
) -> Delivered:
    """Compare drawn latents with the latents of the images shown for them.

    Arguments:
        shown: latents of the anchors' and the positives' images, each of shape (N, d).
        drawn: anchors, and positives drawn from the conditional around them, each (N, d).
        exact: True if the positives were rendered exactly, so that their snap distance is 0.
        columns: names of the d columns.
        kept: True for columns that a rule keeps in a pair and that are not fixed, shape (N, d);
            None without a rule.
    """
    z, positive = (latents.astype(np.float64) for latents in shown)
    distances = (np.linalg.norm(a - b, axis=1) for a, b in zip(drawn, (z, positive), strict=True))
    anchor_snaps, positive_snaps = distances
    return Delivered(
        columns=tuple(columns),
        requested=_root_mean_square(drawn[1] - drawn[0]),
        delivered=_root_mean_square(positive - z),
        anchor_snaps=anchor_snaps,
        positive_snaps=np.zeros_like(anchor_snaps) if exact else positive_snaps,
        agreeing=None if kept is None else _agreeing(z == positive, kept),
    )


def _agreeing(equal: NDArray[np.bool_], kept: NDArray[np.bool_]) -> float | None:
    keeping = kept.any(axis=1)
    return float((equal | ~kept).all(axis=1)[keeping].mean()) if keeping.any() else None


def _root_mean_square(steps: Array) -> Array:
    return np.asarray(np.sqrt((steps**2).mean(axis=0)))


def _quantiles(values: Array) -> dict[str, float]:
    return {f"{q:g}": float(np.quantile(values, q)) for q in _QUANTILES}


def _finish(axis: Axes, title: str) -> None:
    """Add a title, and a legend beside it, both outside the data area."""
    axis.set_title(title, loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(
        frameon=False,
        ncols=2,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        columnspacing=1.0,
        handlelength=1.5,
    )
