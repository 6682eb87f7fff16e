"""Positive pairs by nearest-latent lookup.

With ``anchor="row"``, z is a row of the data set, each row once per epoch, and z~ ~ p(. | z).
With ``anchor="marginal"``, as published, z is drawn from the marginal distribution. Its image is
the one with the nearest latents, which adds the error of a second lookup. The positive is the
image whose latents are nearest to z~, or the second nearest if the nearest is the anchor itself.

If positives follow a rule, they are searched among the rows that agree exactly with the anchor in
the factors that the rule keeps, where there are such rows, see :mod:`threedident.pairs.agreement`.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import copy
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch.utils.data import Subset

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.rules.rule import Rule
from threedident.conditionals.rules.spelling import parse_rule, require_change, spell_rule
from threedident.dataset.split import ThreeDIdent
from threedident.index.families import gpus
from threedident.index.nearest import NearestLatents
from threedident.latents.layout import Layout
from threedident.pairs.agreement import Agreement
from threedident.pairs.core import Pairs
from threedident.pairs.pair import Draw
from threedident.runtime.arrays import as_host, is_tensor
from threedident.runtime.cards import in_line
from threedident.runtime.errors import unknown

Anchor = Literal["row", "marginal"]


class PositivePairs(Pairs):
    """Positive pairs from rendered images.

    Arguments:
        dataset: images and latents, or a torch ``Subset`` of them. With a ``Subset``, positives
            come from the same rows.
        conditional: density p(z~ | z) on the space of the latents, or a rule, as an object or as a
            text such as ``position=keep;rest=normal:0.1``, see
            :mod:`threedident.conditionals.rules.spelling`.
        anchor: ``row`` or ``marginal``.
        index: kind of index for the lookup, see :class:`NearestLatents`, or an existing index over
            the data set's latents.
        seed: from 0 to 2^63 - 1. An item depends only on the seed, the epoch and its number.
        length: number of pairs per epoch, by default one per image. Item k does not depend on it.

    Raises:
        ValueError: the conditional does not fit the latents, the index was built over other
            latents, there are fewer than two images, or the marginal is not known.

    Example:
        pairs = PositivePairs(ThreeDIdent("data/3dident"), Normal(0.1))
        image, positive_image, latents, positive_latents = pairs[0]
    """

    def __init__(
        self,
        dataset: ThreeDIdent | Subset[Any],
        conditional: Conditional | Rule | str,
        *,
        anchor: Anchor = "row",
        index: str | NearestLatents = "auto",
        seed: int = 0,
        length: int | None = None,
    ) -> None:
        super().__init__(dataset, seed, length)
        dataset = self.dataset
        if isinstance(conditional, Rule | str):
            self.rule = _rule_of(conditional, dataset.layout)
            conditional = self.rule.conditional()
        if not isinstance(conditional, Conditional):
            raise ValueError(
                f"conditional: expected one such as Normal(0.1), found {conditional!r}; give one, "
                "or a rule"
            )
        if anchor not in get_args(Anchor):
            raise ValueError(unknown("anchor", anchor, get_args(Anchor)))
        if len(dataset) < 2:
            raise ValueError(f"dataset: expected at least 2 images to pair, found {len(dataset)}")
        self.conditional, self.anchor = conditional, anchor
        self._count = conditional.count(dataset.latents.shape[1])
        conditional.check(dataset.latents)
        self._fixed = _known_marginal(dataset) if anchor == "marginal" else {}
        self.index = _open_index(dataset, index)
        self._agreement = _agreement(dataset, self.rule, self.index)

    def draw(self, items: Any) -> Draw:
        """See :class:`threedident.pairs.core.Pairs`."""
        if self.anchor == "row":
            u = self._uniforms(items, self._count)
            anchors = self._epochs.rows(items)
            z = self._latents_of(anchors)
        else:
            u = self._uniforms(items, self.space.count + self._count)
            z = self._marginal(u[:, : self.space.count])
            anchors = self.index.search(z).indices[:, 0]
        u = u[:, u.shape[1] - self._count :]
        drawn = self.conditional.transform(z, u)
        return Draw(anchors, self._nearest(anchors, drawn, u), z, drawn)

    def _nearest(self, anchors: Any, drawn: Any, u: Any) -> Any:
        """Rows of the positives of drawn latents, other than their anchors."""
        if self._agreement is None:
            return _other(self.index, anchors, drawn)
        assert self.rule is not None
        rows, wanted = (as_host(values) for values in (anchors, drawn))
        found = self._agreement.search(rows, wanted, ~as_host(self.rule.acting(u)))
        alone = found < 0
        if alone.any():
            found[alone] = _other(self.index, rows[alone], wanted[alone])
        return torch.from_numpy(found).to(drawn.device) if is_tensor(drawn) else found

    def _numbers(self, items: Any) -> Any:
        """See :class:`threedident.pairs.core.Pairs`."""
        before = 0 if self.anchor == "row" else self.space.count
        return self._uniforms(items, before + self._count)[:, before:]

    def on(self, device: torch.device) -> Pairs:
        """See :class:`threedident.pairs.core.Pairs`.

        Only an exact index moves to a GPU. An approximate one would miss other neighbours there,
        which would change the pairs.
        """
        if device.type != "cuda" or self.index.kind != "exact" or not gpus():
            return self
        there = copy.copy(self)
        there.index = NearestLatents(self.dataset.latents, "exact", "cuda", self.index.factors)
        return there

    def law(self) -> dict[str, str]:
        """See :class:`threedident.pairs.core.Pairs`."""
        recall = "" if self.index.kind == "exact" else f", recall {self.index.recall:.4f}"
        law = in_line(self.conditional) if self.rule is None else spell_rule(self.rule)
        shared = () if self._agreement is None else self._agreement.shared
        among = f", if possible of equal {', '.join(u.name for u in shared)}" if shared else ""
        return {
            "anchors": self._epochs.law() if self.anchor == "row" else "the marginal",
            "positives": f"nearest latent ({self.index.kind} index{recall}) to a draw from "
            f"{law}{among}",
        }

    def _marginal(self, u: Any) -> Any:
        """Anchors from the marginal, computed on the host, then moved to the device of ``u``."""
        host = u.cpu().numpy() if isinstance(u, torch.Tensor) else u
        z = self.space.sample(host, self._fixed).astype(np.float64)
        return torch.from_numpy(z).to(u.device) if isinstance(u, torch.Tensor) else z


def _rule_of(rule: Rule | str, layout: Layout) -> Rule:
    """A rule over the latents of a data set.

    Raises:
        ValueError: the text spells no such rule, or the rule is over another space.
    """
    if isinstance(rule, str):
        return require_change(parse_rule(rule, layout))
    if rule.layout != layout:
        raise ValueError(
            f"rule: expected one over {', '.join(layout.names)}, as the latents are, found one "
            f"over {', '.join(rule.layout.names)}; give it as a text"
        )
    return rule


def _agreement(dataset: ThreeDIdent, rule: Rule | None, index: NearestLatents) -> Agreement | None:
    """The search among rows that agree; None if the rule keeps nothing that rows share."""
    if rule is None or not (rule.kept or rule.sometimes):
        return None
    found = Agreement(dataset.latents, rule, index)
    return found if found.shared else None


def _other(index: NearestLatents, anchors: Any, drawn: Any) -> Any:
    """The row nearest to each drawn latent, or the second nearest where that is the anchor."""
    first, second = index.search(drawn, k=2).indices.T
    where: Any = torch.where if isinstance(first, torch.Tensor) else np.where
    return where(first == anchors, second, first)


def _known_marginal(dataset: ThreeDIdent) -> dict[str, float]:
    """The fixed factors of the marginal from which a data set's latents were drawn.

    Raises:
        ValueError: the user provided or selected the latents, so their marginal is not known.
    """
    if dataset.rows is not None:
        raise ValueError(
            "anchor: expected row for a Subset, whose latents may follow any marginal, found "
            "marginal; give anchor='row'"
        )
    if dataset.manifest is None:
        return {}
    origin = dataset.manifest.origin
    if origin.rows is not None or origin.conditional is not None:
        raise ValueError(
            f"anchor: expected row for {dataset.folder.path}, whose latents follow no marginal "
            "known here, found marginal"
        )
    return origin.fixed


def _open_index(dataset: ThreeDIdent, index: str | NearestLatents) -> NearestLatents:
    if not isinstance(index, NearestLatents):
        return NearestLatents(dataset.latents, kind=index)
    if len(index) != len(dataset):
        raise ValueError(
            f"index: expected one over the {len(dataset)} latents of {dataset.folder.path}, found "
            f"one over {len(index)}"
        )
    if not index.is_over(dataset.latents):
        raise ValueError(
            f"index: expected one over the latents of {dataset.folder.path}, found one over "
            "others; index its latents"
        )
    return index
