"""Origin of a split's latents: all that is needed to draw them again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.rules.rule import Rule
from threedident.conditionals.rules.spelling import parse_rule
from threedident.latents.layout import layout_of
from threedident.latents.philox import SEEDS, uniforms
from threedident.latents.sampling import sample_raw, stream
from threedident.latents.spaces import find_space
from threedident.runtime.arrays import as_float64
from threedident.runtime.files import npy_bytes, sha256
from threedident.runtime.records import Frozen

Rows = NDArray[np.float32]
_POSITIVE_STREAM = 2


class Origin(Frozen):
    """The recipe of a split's raw latents.

    Arguments:
        split: ``train`` or ``test``; the two have different random numbers.
        space: name of the latent space.
        seed: seed of all draws, or None if nothing is drawn.
        rows: digest of the user's own rows, which replace draws from the marginal, or None.
        fixed: raw values of the fixed factors.
        conditional: for positives, the rule from their anchors to them, such as ``normal:0.1``,
            see :mod:`threedident.conditionals.rules.spelling`; None for rows that are not
            positives.
    """

    split: Literal["train", "test"]
    space: Literal["box", "periodic"] = "box"
    seed: Annotated[int, Field(ge=0, lt=SEEDS)] | None = None
    rows: Annotated[str, Field(pattern=r"^[0-9a-f]{0,64}$")] | None = None
    fixed: dict[str, float] = Field(default_factory=dict)
    conditional: str | None = None

    @model_validator(mode="after")
    def _check_recipe(self) -> Origin:
        if self.seed is None and (self.rows is None or self.conditional is not None):
            raise ValueError("a seed is missing, which every draw needs")
        find_space(self.space).check_fixed(self.fixed, "fixed")
        if self.conditional is not None:
            self.rule()
        return self

    def rule(self) -> Rule:
        """The rule from anchors to these rows, which are positives."""
        assert self.conditional is not None
        return parse_rule(self.conditional, layout_of(self.space, self.fixed))

    def draw(self, n: int, rows: Rows | None = None) -> Rows:
        """The first ``n`` raw latents.

        Arguments:
            n: number of rows.
            rows: the user's own rows, needed if ``self.rows`` is set.
        """
        anchors = rows[:n] if rows is not None else self._marginal(n)
        if self.conditional is None:
            return anchors
        assert self.seed is not None
        return sample_positives(anchors, self.rule().conditional(), self.seed, self.split)

    def uniforms(self, rows: Any) -> Any:
        """The uniform numbers of positives, shape (N, count), float64.

        Arguments:
            rows: numbers of rows, shape (N,), as an array or a tensor.
        """
        assert self.seed is not None
        conditional = self.rule().conditional()
        count = conditional.count(len(find_space(self.space).columns))
        return uniforms(self.seed, stream(_POSITIVE_STREAM, self.split), rows, count)

    def _marginal(self, n: int) -> Rows:
        assert self.seed is not None
        return sample_raw(self.seed, self.split, n, self.space, self.fixed)


def rows_digest(raw: Rows) -> str:
    """Short digest that identifies the user's own rows of latents."""
    return sha256(npy_bytes(raw))[:16]


def sample_positives(
    anchors: ArrayLike, conditional: Conditional, seed: int, split: str
) -> NDArray[np.float32]:
    """The positives of the first rows of a split, exact samples of the conditional.

    Arguments:
        anchors: rows 0, 1, ..., N - 1 of the split, shape (N, d), in the conditional's space.
        conditional: density p(z~ | z).
        seed: from 0 to 2^63 - 1; it may equal the seed of the anchors.
        split: ``train`` or ``test``.

    Returns:
        Shape (N, d); row i depends only on (seed, split, i) and anchor i.

    Raises:
        ValueError: the anchors do not lie in the conditional's space, or there is no such split.
    """
    z = as_float64(anchors)
    count = conditional.count(z.shape[-1])
    u = uniforms(seed, stream(_POSITIVE_STREAM, split), np.arange(len(z)), count)
    return conditional.transform(z, u).astype(np.float32)
