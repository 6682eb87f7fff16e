"""The objective: a model and the loss of its codes, on one or several ranks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.model import build_model
from benchmark.losses.contrastive import info_nce_terms, symmetric_terms
from benchmark.losses.match import parse_loss
from benchmark.protocol import procedure_of
from benchmark.ranks import Ranks
from benchmark.sources.source import Batch, Source


class Objective(nn.Module):
    """A model and the loss of its codes.

    Arguments:
        config: configuration of the run.
        source: source of the observations.
        seed: seed of the initial weights.
        ranks: ranks that share each batch.
    """

    def __init__(self, config: Config, source: Source, seed: int, ranks: Ranks) -> None:
        super().__init__()
        self.model = build_model(config, source, seed)
        if config.learned_scales:
            self.log_scales = nn.Parameter(torch.zeros(source.codes))
        self._config, self._ranks = config, ranks
        self._procedure = procedure_of(config)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by name, including ``loss``.

        Both views share one forward pass, or each has a pass of its own, by the procedure.
        """
        if batch.positives is None:
            return {"loss": nn.functional.mse_loss(self._encode(batch.anchors), batch.latents)}
        if self._procedure.separate_views:
            return self._contrast(*map(self._encode, batch.observations))
        return self._contrast(*self._encode(torch.cat(batch.observations)).chunk(2))

    def _encode(self, observations: Tensor) -> Tensor:
        low = self._config.precision == "bf16"
        with torch.autocast(observations.device.type, torch.bfloat16, enabled=low):
            codes: Tensor = self.model(observations)
        return codes

    def _contrast(self, anchors: Tensor, positives: Tensor) -> dict[str, Tensor]:
        config, ranks = self._config, self._ranks
        scales = self.log_scales.exp() if config.learned_scales else None
        similarity = parse_loss(config.loss, scales)
        assert similarity is not None
        assert config.temperature is not None
        temperature, first = config.temperature, ranks.rank * len(anchors)
        if config.symmetric:
            both = None if ranks.count == 1 else (ranks.gather(anchors), ranks.gather(positives))
            terms = symmetric_terms(
                anchors,
                positives,
                similarity,
                temperature,
                both,
                first=None if both is None else first,
            )
        else:
            itself = self._procedure.anchor_as_negative
            every = anchors if itself else None
            if ranks.count > 1:
                every = ranks.gather(anchors)
            terms = info_nce_terms(
                anchors,
                positives,
                similarity,
                temperature,
                every,
                first=None if itself or every is None else first,
            )
        return terms._asdict()
