"""Rules for the ONNX graph of an encoder, which must be a deterministic function of images.

Only the operators named below are allowed. All of them are deterministic and without state. So a
graph cannot loop, draw random numbers, call libraries or open files. This does not depend on a
search for such things, because everything that is not on the list is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import Message
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from benchmark.leaderboard.record import shown

_DOMAINS = ("", "ai.onnx")
_SHOWN = 8  # largest number of dimensions in a message
_OPERATORS = frozenset(
    """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp
    Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual
    Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid
    Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
    ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK
    Attention Conv ConvTranspose Einsum Gemm MatMul RotaryEmbedding
    BatchNormalization Dropout GroupNormalization Hardmax InstanceNormalization LRN
    LayerNormalization LogSoftmax LpNormalization RMSNormalization Softmax
    AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool
    AffineGrid Cast CastLike CenterCropPad Concat Constant ConstantOfShape DepthToSpace Expand
    EyeLike Flatten Gather GatherElements GatherND GridSample Identity OneHot Pad Range Reshape
    Resize ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose
    Trilu Unsqueeze
    """.split()  # noqa: SIM905
)
_NESTED = (
    AttributeProto.GRAPH,
    AttributeProto.GRAPHS,
    AttributeProto.SPARSE_TENSOR,
    AttributeProto.SPARSE_TENSORS,
)
_RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomUniform")  # and variants ...Like
_BRANCHING = ("If", "Loop", "Scan", "SequenceMap")


def require_plain_graph(model: ModelProto) -> None:
    """Check that a model consists of allowed operators and dense weights inside the file.

    Raises:
        ValueError: it contains something else, which the message names.
    """
    for opset in model.opset_import:
        if opset.domain not in _DOMAINS:
            raise ValueError(
                f"expected only operators of ONNX, found the custom domain {shown(opset.domain)}"
            )
    if model.functions:
        raise ValueError(
            f"expected a graph of operators, found the local function "
            f"{shown(model.functions[0].name)}; inline it"
        )
    if model.training_info:
        raise ValueError("expected a graph to run, found training information")
    if model.graph.sparse_initializer:
        raise ValueError("expected dense weights, found sparse ones")
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(
                "expected all weights within the file, found external data for "
                f"{shown(tensor.name)}"
            )
    for node in model.graph.node:
        _check_node(node)


def require_encoder(graph: GraphProto, resolution: int, codes: int) -> None:
    """Check that input and output of a graph are images and codes.

    Arguments:
        graph: graph of the model.
        resolution: edge of the images in pixels.
        codes: required number of codes.

    Raises:
        ValueError: input or output has another number, type or shape.
    """
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    _require_value("input", inputs, TensorProto.UINT8, [None, resolution, resolution, 3])
    _require_value("output", list(graph.output), TensorProto.FLOAT, [None, codes])


def _require_value(
    kind: str, values: list[ValueInfoProto], element: int, shape: list[int | None]
) -> None:
    name = TensorProto.DataType.Name(element).lower()
    spelled = ", ".join("batch" if edge is None else str(edge) for edge in shape)
    if len(values) != 1:
        raise ValueError(f"expected one {kind}, found {len(values)}")
    tensor = values[0].type.tensor_type
    edges = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if tensor.elem_type != element or edges != shape:
        known = TensorProto.DataType.values()
        kind_found = tensor.elem_type if tensor.elem_type in known else TensorProto.UNDEFINED
        found = TensorProto.DataType.Name(kind_found).lower()
        there = ", ".join("batch" if edge is None else str(edge) for edge in edges[:_SHOWN])
        raise ValueError(
            f"expected the {kind} {name} ({spelled}) with any number in a batch, found {found} "
            f"({there})"
        )


def _check_node(node: NodeProto) -> None:
    name = node.op_type if node.op_type.isidentifier() else shown(node.op_type)
    if node.domain not in _DOMAINS:
        raise ValueError(f"expected only operators of ONNX, found {shown(node.domain)}")
    if name.removesuffix("Like") in _RANDOM:
        raise ValueError(f"expected the same codes every time, found the random operator {name}")
    if name in _BRANCHING:
        raise ValueError(f"expected a graph without loops and branches, found {name}")
    if name not in _OPERATORS:
        raise ValueError(
            "expected operators of the list in benchmark/leaderboard/sandbox/graph.py, found "
            f"{name}"
        )
    if any(attribute.type in _NESTED for attribute in node.attribute):
        raise ValueError(f"expected operators without graphs inside, found one in {name}")
    if name == "BatchNormalization" and (_integer(node, "training_mode") or len(node.output) > 1):
        raise ValueError(
            "expected BatchNormalization with the statistics of training, found it in training "
            "mode; export in eval mode"
        )
    if name == "Dropout" and len(node.input) > 2 and node.input[2]:
        raise ValueError("expected no Dropout in training mode, found a switch for it")


def _integer(node: NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)


def _tensors(message: Message) -> Iterator[TensorProto]:
    """Every tensor in a message, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if field.is_repeated else [value]:
            if isinstance(part, TensorProto):
                yield part
            yield from _tensors(part)


def parse(content: bytes) -> ModelProto:
    """The model in the content of an ONNX file, without other data in the file.

    Raises:
        ValueError: the content is not an ONNX model.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # the kinds of errors differ between versions of protobuf
        raise ValueError(
            f"expected an ONNX model, found none ({type(error).__name__}); export it again"
        ) from None
    model.DiscardUnknownFields()  # other formats could be hidden in them
    model.ClearField("producer_name")  # it could make onnxruntime read one of these formats
    return model
