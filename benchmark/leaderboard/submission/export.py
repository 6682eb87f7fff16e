"""Export of a trained encoder as ONNX, from images to codes, including the normalisation."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import torch
from torch import Tensor, nn


class _ImagesToCodes(nn.Module):
    """A module that maps uint8 images (B, H, W, 3) to float32 codes (B, n)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        codes: Tensor = self.model(images.permute(0, 3, 1, 2))
        return codes.float()


def onnx_bytes(model: nn.Module, resolution: int) -> bytes:
    """The content of an ONNX file of a model in eval mode, for batches of any size.

    Arguments:
        model: model that maps uint8 images (B, 3, H, W) to codes (B, n). Its mode stays
            unchanged.
        resolution: edge of the images in pixels.

    Raises:
        ValueError: torch cannot export the model as ONNX.
    """
    training = model.training
    whole = _ImagesToCodes(model).eval()
    example = torch.zeros(2, resolution, resolution, 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                whole,
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["codes"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds of errors
        words = " ".join(str(error).split())
        raise ValueError(
            f"encoder: expected one that torch can export as ONNX, found {type(error).__name__}: "
            f"{words[:200]}; change it, or export it by hand"
        ) from None
    finally:
        model.train(training)
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """A context without messages of the exporter."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
