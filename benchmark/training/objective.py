"""The objective: a model and the loss of its codes, on one or several ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.model import build_model, count_codes
from benchmark.losses.catalogue import Facts, build_loss, is_supervised
from benchmark.losses.views import Views
from benchmark.protocol import procedure_of
from benchmark.ranks import Ranks
from benchmark.sources.source import Batch, Source


class Objective(nn.Module):
    """A model and the loss of its codes.

    Arguments:
        config: configuration of the run.
        source: source of the observations.
        seed: seed of the initial weights and of the parameters of the loss.
        ranks: ranks that share each batch.

    Raises:
        ValueError: the encoder or the loss does not fit the source.
    """

    def __init__(self, config: Config, source: Source, seed: int, ranks: Ranks) -> None:
        super().__init__()
        model = build_model(config, source, seed)
        codes = count_codes(config, source)
        facts = Facts(codes, source.shape, source.rows, model.features, source.sphere)
        self.loss = build_loss(config, facts, seed)  # checkpoints hold its parameters first
        self.model = model
        self._supervised = is_supervised(config.loss)
        self._config, self._ranks = config, ranks
        self._apart = procedure_of(config).separate_views
        self.register_load_state_dict_pre_hook(_early_names)  # type: ignore[no-untyped-call]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by name, including ``loss``.

        Both views share one forward pass, or each has a pass of its own, by the protocol.
        """
        (layer, anchors), *others = self._views(batch.observations)
        positive_layer, positives = others[0] if others else (None, None)
        terms: dict[str, Tensor] = self.loss(
            Views(
                codes=anchors,
                positives=positives,
                features=layer,
                positive_features=positive_layer,
                rows=batch.rows,
                latents=batch.latents if self._supervised else None,
                inputs=batch.anchors,
                positive_inputs=batch.positives,
                ranks=self._ranks,
            )
        )
        return terms

    def _views(self, observations: list[Tensor]) -> list[tuple[Tensor | None, Tensor]]:
        """Features and codes of each view."""
        if self._apart:
            return list(map(self._encode, observations))
        features, codes = self._encode(torch.cat(observations))
        count = len(observations)
        layers = [None] * count if features is None else features.chunk(count)
        return list(zip(layers, codes.chunk(count), strict=True))

    def after_step(self) -> None:
        """Call the loss after a step of the optimiser, if it wants to be called."""
        after = getattr(self.loss, "after_step", None)
        if after is not None:
            after(self.model)

    def _encode(self, observations: Tensor) -> tuple[Tensor | None, Tensor]:
        low = self._config.precision == "bf16"
        with torch.autocast(observations.device.type, torch.bfloat16, enabled=low):
            features, codes = self.model(observations, True)
        if features is not None:
            features = features.to(torch.promote_types(features.dtype, torch.float32))
        return features, codes


def _early_names(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Rename the learned scales in a state of an early version, where they had no module."""
    scales = state.pop(f"{prefix}log_scales", None)
    if scales is not None:
        state[f"{prefix}loss.log_scales"] = scales
