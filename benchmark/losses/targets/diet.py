r"""DIET: a linear classifier of row numbers from codes.

    L = -log softmax(W v)_i

for the code v of a positive whose anchor is row i. W has one vector for each row and no bias.

With many rows, the denominator is estimated from C rows that are drawn anew in every step: the
sum over the rows j other than i is their mean times the number of these rows.

References:
    Cross-Entropy Is All You Need To Invert the Data Generating Process, Reizinger et al., 2024,
    https://arxiv.org/abs/2410.21869
    Unsupervised Learning on a DIET: Datum IndEx as Target Free of Self-Supervision,
    Reconstruction, Projector Head, Balestriero, 2023, https://arxiv.org/abs/2302.10260
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmark.config import Config
from benchmark.losses.views import Views
from benchmark.settings import MixingSettings
from threedident.runtime.errors import printable

_MOST_EXACT = 16_384  # rows of whose logits no sample is drawn


class DIET(nn.Module):
    """The cross-entropy of row numbers.

    Let latents of a row's class be von Mises-Fisher around the vector of the class, on the unit
    sphere. Codes are then linear maps of the latents, and orthogonal maps if codes and the vectors
    W are normalised (Reizinger et al.). Here a class is an anchor, and its positives are drawn
    around it.

    Arguments:
        n: number of codes.
        rows: number of rows that anchors are taken from.
        temperature: positive number that divides the logits.
        normalised: True to normalise codes and the vectors W.
        anchors: True to classify anchors, too, where they have the law of positives, as under
            augmentations.
        sampled: number C of rows drawn in a step; 0 for all rows up to 16,384, else 4,096.

    Raises:
        ValueError: the temperature is not positive, or C is negative.
    """

    output_space = ("unbounded", "sphere", "learned-sphere")

    def __init__(
        self,
        n: int,
        rows: int,
        temperature: float = 1.0,
        normalised: bool = False,
        anchors: bool = False,
        sampled: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(
                f"temperature: expected a positive number, found {printable(str(temperature))}; "
                "use 1 to leave logits as they are"
            )
        if sampled < 0:
            raise ValueError(f"sampled: expected at least 0, found {sampled}; use 0 for all rows")
        self.weight = nn.Parameter(torch.randn(rows, n) / math.sqrt(n))
        self._temperature, self._normalised = temperature, normalised
        self._anchors = anchors
        self._sampled = sampled or (0 if rows <= _MOST_EXACT else 4096)

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and the share of rows that are recognised among those compared."""
        assert views.rows is not None
        codes, rows = views.pair()[1], views.rows
        if self._anchors:
            codes, rows = torch.cat(views.pair()), rows.repeat(2)
        if self._normalised:
            codes = normalize(codes, dim=1)
        own = (codes * self._vectors(rows)).sum(dim=1) / self._temperature
        rivals = self._rivals(codes, rows)
        loss = torch.logaddexp(own, rivals.logsumexp(dim=1)) - own
        found = (own > rivals.amax(dim=1)).to(codes.dtype).mean()
        return {"loss": loss.mean(), "accuracy": found}

    def _vectors(self, rows: Tensor) -> Tensor:
        found = self.weight[rows]
        return normalize(found, dim=1) if self._normalised else found

    def _rivals(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Logits of other rows, -inf for a row itself, with the weights of a sample in them."""
        count = len(self.weight)
        chosen = torch.arange(count, device=rows.device)
        if self._sampled:
            chosen = torch.randint(count, (self._sampled,), device=rows.device)
        logits = codes @ self._vectors(chosen).T / self._temperature
        itself = rows[:, None] == chosen
        if self._sampled:
            others = (~itself).sum(dim=1, keepdim=True).clamp(min=1)
            logits = logits + math.log(count - 1) - others.to(logits.dtype).log()
        return logits.masked_fill(itself, -math.inf)

    @staticmethod
    def matches(config: Config) -> str | None:
        """The assumption that a run violates, in words; None if it violates none."""
        source = config.source
        if not isinstance(source, MixingSettings) or source.space != "sphere":
            return "latents do not lie on a sphere"
        if source.marginal != "uniform":
            return f"latents are not uniform, but {source.marginal}"
        if source.conditional is None or source.conditional.name != "vmf":
            return "positives are not von Mises-Fisher around their anchors"
        return None
