"""Views: everything that a loss may read of one batch, and the contract of losses.

A loss is a torch module made by ``Name(n, **options)`` from the number of codes n. Its ``forward``
takes :class:`Views` and returns a dictionary of scalar tensors. The entry ``loss`` is minimised,
and all entries are logged. Its parameters are trained along with the encoder.

The class or function ``Name`` may have attributes:

- ``output_space``: name of the output space that fits, or several names, the default first.
- ``paired``: False if the loss uses no positive pairs.
- ``supervised``: True if the loss reads latents.
- ``matches``: a static method from a :class:`benchmark.config.Config` to the assumption of the
  loss's theory that a run violates, in words, or None.

The module may have a method ``after_step(model)``, which is called after every optimiser step.

Some arguments have reserved names. If the signature of ``Name`` has them, a run passes them:
``shape``, the shape of one observation; ``rows``, the number of rows that anchors are taken from;
and ``features``, the number of outputs of the layer before the last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from benchmark.ranks import Ranks


@dataclass(frozen=True, eq=False, kw_only=True)
class Views:
    """The two views of each pair in a batch, or the only view.

    Arguments:
        codes: codes of the anchors, shape (B, n), at least float32.
        positives: codes of the positives, shape (B, n); None for training without pairs.
        features: outputs of the layer before the last for the anchors, shape (B, F); None if the
            encoder has no such layer.
        positive_features: the same for the positives.
        rows: numbers of the anchors' rows, shape (B,), int64; None if anchors are not rows of a
            table.
        latents: latents of the anchors, shape (B, m); None unless the loss is supervised.
        inputs: raw observations of the anchors, shape (B, ...), such as uint8 images from 0 to
            255.
        positive_inputs: raw observations of the positives, shape (B, ...), or None.
        ranks: ranks that share the batch. B counts the rows of this rank.
    """

    codes: Tensor
    positives: Tensor | None = None
    features: Tensor | None = None
    positive_features: Tensor | None = None
    rows: Tensor | None = None
    latents: Tensor | None = None
    inputs: Tensor | None = None
    positive_inputs: Tensor | None = None
    ranks: Ranks = field(default_factory=Ranks)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all ranks in order of ranks, shape (count * B, n), with gradient."""
        return self.ranks.gather(rows)

    def pair(self) -> tuple[Tensor, Tensor]:
        """The codes of both views.

        Raises:
            ValueError: there is only one view.
        """
        if self.positives is None:
            raise ValueError(
                "views: expected codes of positives, found none; train on a source of pairs"
            )
        return self.codes, self.positives
