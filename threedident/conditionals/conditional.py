"""Base class of all conditionals p(z~ | z): it checks anchors and draws positives around them.

A positive is a function of its anchor and of a fixed number of uniform numbers. The caller
provides the uniform numbers, from a counter, a numpy generator or a torch generator.

Derive your own conditional from :class:`Conditional` and define ``count``, the number of uniform
numbers for one positive, and ``draw``, the positives from anchors and uniform numbers. If anchors
must lie in a special space, define ``place``, which checks them. The new conditional then works
everywhere.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.runtime.arrays import (
    as_float64,
    as_float64_like,
    fails,
    is_away,
    is_tensor,
    is_torch_generator,
    refuse_data_set,
)
from threedident.runtime.cards import Card

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]

_TINY = float(np.finfo(np.float64).tiny)


class Conditional(Card):
    """A density over positives given anchors.

    Example:
        One factor of the positive is drawn again, uniform on [-1, 1], and all others are kept::

            import numpy as np
            from threedident import Conditional


            class OneFactor(Conditional):
                def count(self, dimension):
                    return 2  # one number chooses the factor, one its value

                def draw(self, anchors, uniforms):
                    rows = np.arange(len(anchors))
                    columns = (uniforms[:, 0] * anchors.shape[1]).astype(int)
                    positives = anchors.copy()
                    positives[rows, columns] = 2 * uniforms[:, 1] - 1
                    return positives
    """

    @abstractmethod
    def count(self, dimension: int) -> int:
        """Number of uniform numbers needed for one positive.

        Raises:
            ValueError: the conditional does not accept rows of that dimension.
        """

    def check(self, latents: ArrayLike) -> None:
        """Check anchors early, before anything is drawn.

        Arguments:
            latents: anchors, shape (N, d); a few rows are enough.

        Raises:
            ValueError: the anchors do not lie in the conditional's space.
        """
        rows = as_float64(latents)
        self.count(_shape(rows)[1])
        self.place(rows)

    @overload
    def transform(self, latents: ArrayLike, uniforms: torch.Tensor) -> torch.Tensor: ...
    @overload
    def transform(self, latents: ArrayLike, uniforms: ArrayLike) -> Array: ...
    def transform(self, latents: Any, uniforms: Any) -> Any:
        """Positives as a function of uniform numbers.

        Arguments:
            latents: anchors z in the conditional's space, shape (N, d).
            uniforms: numbers in the open interval (0, 1), shape (N, count(d)). If they are a
                tensor, torch computes on its device, in float64.

        Returns:
            Positives z~, shape (N, d), float64; a tensor if ``uniforms`` is one.

        Raises:
            ValueError: the anchors do not lie in the space, or the shapes do not fit. Anchors that
                are already on a GPU are not read, and not checked.
        """
        u = as_float64_like(uniforms, uniforms)
        if is_away(u) and not is_away(latents):
            self.place(as_float64(latents))  # once they are on a GPU, they are not read
        z = as_float64_like(latents, u)
        rows, columns = _shape(z)
        expected = (rows, self.count(columns))
        if tuple(u.shape) != expected:
            raise ValueError(
                f"uniforms: expected shape {expected}, found {tuple(u.shape)}; draw count(d) "
                "numbers for each anchor"
            )
        positives = self.draw(self.place(z), u)
        if tuple(np.shape(positives)) != tuple(z.shape):
            raise ValueError(
                f"{type(self).__name__}.draw: expected positives of shape {tuple(z.shape)} as the "
                f"anchors have, found {tuple(np.shape(positives))}; return one for each anchor"
            )
        return positives

    @overload
    def sample(self, latents: ArrayLike, rng: torch.Generator) -> torch.Tensor: ...
    @overload
    def sample(self, latents: ArrayLike, rng: np.random.Generator | int) -> Array: ...
    def sample(self, latents: Any, rng: Any) -> Any:
        """One positive for every anchor.

        Arguments:
            latents: anchors z in the conditional's space, shape (N, d).
            rng: numpy or torch generator, or a seed for a numpy one. With a
                :class:`torch.Generator`, torch draws on the generator's device.

        Returns:
            Positives z~, shape (N, d), float64; a tensor if ``rng`` is a torch.Generator.

        Raises:
            ValueError: the anchors do not lie in the space, or ``rng`` has another type.
        """
        rows, columns = _shape(latents)
        return self.transform(latents, _uniforms((rows, self.count(columns)), rng))

    def place(self, rows: Any) -> Any:
        """Check that anchors lie in the conditional's space. This default accepts finite ones.

        Arguments:
            rows: shape (N, d), float64, an array or a tensor.

        Returns:
            The rows. On a sphere they are scaled to norm 1, up to rounding.

        Raises:
            ValueError: the rows do not lie in the space.
        """
        if fails(abs(rows) < math.inf):
            raise ValueError(
                f"latents: expected finite anchors for {type(self).__name__}, found NaN or "
                "infinity; pass raw latents of its space"
            )
        return rows

    @abstractmethod
    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """Positives of anchors that lie in the space.

        Arguments:
            anchors: rows returned by :meth:`place`, shape (N, d), float64.
            uniforms: numbers in the open interval (0, 1), shape (N, count(d)), float64; a tensor
                if ``anchors`` is one.

        Returns:
            Shape (N, d), an array or a tensor as ``anchors`` is.
        """

    def __repr__(self) -> str:
        """A card. For a dataclass, the call that creates it, with one field per line."""
        if not is_dataclass(self):
            return super().__repr__()
        lines = (f"    {f.name}={getattr(self, f.name)!r},\n" for f in fields(self))
        return f"{self.card_title()}(\n{''.join(lines)})"

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`; the facts are the public attributes."""
        return {name: f"{v}" for name, v in vars(self).items() if not name.startswith("_")}


def _shape(latents: Any) -> tuple[int, int]:
    refuse_data_set(latents)
    shape = tuple(np.shape(latents))
    if len(shape) != 2:
        raise ValueError(
            f"latents: expected shape (N, d), found {shape}; for one anchor use z[None]"
        )
    return shape


def _uniforms(shape: tuple[int, int], rng: Any) -> Any:
    if is_torch_generator(rng):
        import torch

        u = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float64)
        return u.clamp(min=_TINY)
    if not isinstance(rng, np.random.Generator | int | np.integer):
        raise ValueError(
            f"rng: expected a numpy or torch Generator, or a seed, found {rng!r}; without one, "
            "the draws could not be repeated"
        )
    return np.maximum(np.random.default_rng(rng).random(shape), _TINY)


def as_positive(name: str, value: Any, least: float = 0.0) -> float:
    """``value`` as a float, checked.

    Arguments:
        name: name of the number in error messages.
        value: a positive finite number of any real type.
        least: smallest number accepted.

    Raises:
        ValueError: ``value`` is not such a number.
    """
    found = _as_array(value)
    real = found.ndim == 0 and found.dtype.kind in "iuf"
    if not (real and 0.0 < found < math.inf and found >= least):
        expected = f"finite number of at least {least:g}" if least else "positive finite number"
        shown = f"shape {found.shape}" if found.ndim else repr(value)
        raise ValueError(f"{name}: expected a {expected}, found {shown}; give one")
    return float(found)


def as_scale(value: Any) -> float | tuple[float, ...]:
    """One scale for all columns as a float, or one scale for each column as a tuple of floats.

    Raises:
        ValueError: a scale is not a positive finite number, or the sequence is empty.
    """
    found = _as_array(value)
    if found.ndim == 0:
        return as_positive("scale", value)
    if found.ndim > 1 or len(found) == 0:
        raise ValueError(
            "scale: expected a positive finite number, or one for each column, found shape "
            f"{found.shape}; give a flat sequence"
        )
    return tuple(as_positive("scale", number) for number in found.tolist())


def _as_array(value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value.detach().cpu() if is_tensor(value) else value)
    except ValueError:
        return np.empty((), object)  # a ragged sequence
