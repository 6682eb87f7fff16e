"""The objective: a model and the loss of its codes, on one or several ranks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.model import build_model
from benchmark.losses.contrastive import info_nce_terms, symmetric_terms
from benchmark.losses.match import parse_loss
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

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by name, including ``loss``. Both views share one forward pass."""
        codes = self._encode(torch.cat(batch.observations))
        if batch.positives is None:
            return {"loss": nn.functional.mse_loss(codes, batch.latents)}
        return self._contrast(*codes.chunk(2))

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
            every = None if ranks.count == 1 else ranks.gather(anchors)
            terms = info_nce_terms(
                anchors,
                positives,
                similarity,
                temperature,
                every,
                first=None if every is None else first,
            )
        return terms._asdict()
