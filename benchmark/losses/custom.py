"""Losses of users, and one-line messages about their errors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.losses.views import Views
from benchmark.ranks import lost_another
from threedident.pairs.loader import is_death

_TAKEN = ("codes", "mcc", "r2", "seed", "step", "stop")


class CheckedLoss(nn.Module):
    """A loss with checks: its errors and invalid results raise ValueError with its name.

    Arguments:
        name: name of the loss, for messages.
        loss: the loss.
    """

    def __init__(self, name: str, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.name = name

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The terms of the loss.

        Raises:
            ValueError: the loss fails, or returns no dictionary of scalars with a ``loss`` that
                can be differentiated.
        """
        try:
            found = self.loss(views)
        except Exception as error:
            if is_death(error) or lost_another(error):  # torch may raise these in any call
                raise
            raise ValueError(
                f"loss: expected {self.name} to take the views of a batch, found "
                f"{type(error).__name__}: {error}; change the loss"
            ) from None
        self._check(found)
        return found  # type: ignore[no-any-return]

    def after_step(self, model: nn.Module) -> None:
        """Call the method of the loss, if it has one.

        Raises:
            ValueError: the method fails.
        """
        after = getattr(self.loss, "after_step", None)
        if after is None:
            return
        try:
            after(model)
        except Exception as error:
            raise ValueError(
                f"loss: expected after_step of {self.name} to take the model, found "
                f"{type(error).__name__}: {error}; change the loss"
            ) from None

    def _check(self, found: Any) -> None:
        if not isinstance(found, dict) or "loss" not in found:
            what = f"entries {', '.join(map(str, found))}" if isinstance(found, dict) else ""
            raise ValueError(
                f"loss: expected a dictionary with the entry loss from {self.name}, found "
                f"{what or type(found).__name__}; return one"
            )
        for name, value in found.items():
            if name in _TAKEN:
                raise ValueError(
                    f"loss: expected other names than {name} from {self.name}, which the log uses "
                    "itself; rename the term"
                )
            scalar = isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()
            if not (isinstance(name, str) and scalar):
                shape = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
                raise ValueError(
                    f"loss: expected scalar tensors by name from {self.name}, found "
                    f"{shape or type(value).__name__} for {name}; take means"
                )
        if torch.is_grad_enabled() and not found["loss"].requires_grad:
            raise ValueError(
                f"loss: expected a loss of {self.name} that depends on the codes, found one "
                "without gradient; do not detach it"
            )
