"""Comparison of the weights of two encoders, to detect that they come from one training.

It reads untrusted models, so it runs in the sandbox, see :mod:`benchmark.leaderboard.sandbox`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

_LEAST = 64  # least size of a tensor; smaller ones can agree by chance
_SAME = 0.99  # tensors with a larger correlation count as the same
_NUMBERS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def shared_weights(one: ModelProto, other: ModelProto) -> float:
    """The share of the weight tensors of the first model that the second also has, in [0, 1].

    Two tensors count as the same if the correlation of their numbers is above 0.99. So noise or
    another scale cannot hide a copy. Small tensors and constant tensors do not count.

    Arguments:
        one: a model.
        other: another model.
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
    """The numbers of each weight tensor as a vector with mean 0 and length 1."""
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
