"""How many of their weights two encoders share, which two trainings cannot.

It reads strangers' models, and so runs where they run, see :mod:`benchmark.leaderboard.sandbox`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

_LEAST = 64  # numbers in a tensor that a training cannot have in common with another by chance
_SAME = 0.99  # correlation of two tensors' numbers
_NUMBERS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def shared_weights(one: ModelProto, other: ModelProto) -> float:
    """The share of the first model's weight tensors that the second has, too, in [0, 1].

    Tensors count as the same where their numbers correlate by more than 0.99, so that neither
    noise nor another scale hides them. Small tensors and constant ones do not count.

    Arguments:
        one: a model.
        other: another one.
    """
    there = defaultdict(list)
    for tensor in _tensors(other):
        there[tensor.size].append(tensor)
    found = [
        any(abs(float(tensor @ theirs)) > _SAME for theirs in there[tensor.size])
        for tensor in _tensors(one)
    ]
    return float(np.mean(found)) if found else 0.0


def _tensors(model: ModelProto) -> Iterator[NDArray[np.float32]]:
    """The numbers of each weight tensor, at zero mean and unit length."""
    constants = (
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    )
    for tensor in (*model.graph.initializer, *constants):
        if tensor.data_type in _NUMBERS:
            values = numpy_helper.to_array(tensor).astype(np.float32).ravel()
            values = values - values.mean() if len(values) else values
            length = float(np.linalg.norm(values))
            if len(values) >= _LEAST and np.isfinite(length) and length > 0.0:
                yield values / np.float32(length)
