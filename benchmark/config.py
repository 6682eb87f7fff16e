"""The configuration of a run: what was asked for, resolved, and written beside the results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.losses import DotSimilarity, LpSimilarity, Similarity
from threedident.conditionals import Conditional, Laplace, Normal

SIMILARITIES: dict[str, Similarity] = {
    "dot": DotSimilarity(),
    "l1": LpSimilarity(1),
    "l2": LpSimilarity(2),
    "l3": LpSimilarity(3),
}
SUPERVISED = "supervised"
LOSSES = (*SIMILARITIES, SUPERVISED)
CONDITIONALS = {"normal": Normal, "laplace": Laplace}

_FITTING_SPACES = {
    "dot": ("sphere", "learned-sphere"),
    "l1": ("box", "fixed-box", "unbounded"),
    "l2": ("box", "fixed-box", "unbounded"),
    "l3": ("box", "fixed-box", "unbounded"),
    SUPERVISED: ("unbounded",),
}

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Config(BaseModel):
    """Everything that a run's numbers depend on, beside software and hardware.

    Arguments:
        encoder: name of the encoder.
        loss: similarity of InfoNCE, or ``supervised`` for the squared error to the latents.
        output_space: where codes lie.
        conditional: p(z~ | z) of the positives; None for the supervised loss.
        sigma: its scale; None for the supervised loss.
        temperature: of InfoNCE; None for the supervised loss.
        data: digests of both splits' images, as the manifests record them.
        resolution: edge of the images in pixels.
        steps: optimiser steps.
        batch_size: pairs per step.
        learning_rate: of Adam.
        eval_every: steps between two scores on the test split.
        seeds: one training each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    loss: str
    output_space: str
    conditional: Literal["normal", "laplace"] | None
    sigma: _Positive | None
    temperature: _Positive | None
    data: dict[str, str]
    resolution: int
    steps: Annotated[int, Field(gt=0)]
    batch_size: Annotated[int, Field(gt=1)]
    learning_rate: _Positive
    eval_every: Annotated[int, Field(gt=0)]
    seeds: tuple[int, ...]

    def positives(self) -> Conditional | None:
        """The conditional as an object; None for the supervised loss."""
        if self.conditional is None or self.sigma is None:
            return None
        return CONDITIONALS[self.conditional](self.sigma)


def fitting_space(loss: str, output_space: str | None) -> str:
    """The output space to use: the one given, or the one that fits the loss best.

    Raises:
        ValueError: the loss is not defined on, or cannot succeed in, the given space.
    """
    spaces = _FITTING_SPACES[loss]
    if output_space is None:
        return spaces[0]
    if output_space not in spaces:
        raise ValueError(
            f"--output-space: expected one that fits the loss {loss} ({', '.join(spaces)}), "
            f"found {output_space}"
        )
    return output_space


def differences(old: Config, new: Config) -> list[str]:
    """The fields in which two configurations differ, as ``name old where new is asked for``."""
    was, is_now = old.model_dump(), new.model_dump()
    return [
        f"{name} {was[name]} where {is_now[name]} is asked for"
        for name in was
        if was[name] != is_now[name]
    ]
