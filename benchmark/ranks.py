"""Ranks: the processes started by torchrun that share every training step.

Each rank processes its share of the batch. Codes are gathered with gradients, so every anchor is
compared with the negatives of all ranks. BatchNorm computes its statistics over all ranks. So n
ranks train like one process on the same batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from threedident.cli import USER_ERROR
from threedident.runtime.errors import Interrupted, explain


@dataclass(frozen=True)
class Ranks:
    """The rank of this process, and the number of ranks.

    Arguments:
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """True for the rank that writes files and messages."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all ranks in order of ranks, shape (count * B, n), with gradient.

        Arguments:
            rows: rows of this rank, shape (B, n).
        """
        if self.count == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows)
        return gathered

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the ranks, without gradient."""
        if self.count == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.count

    def wait(self) -> None:
        """Wait until every rank has called this method."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block on all ranks; if it fails on any rank, end all ranks with one message.

        Raises:
            ValueError, SystemExit: the block raised OSError or ValueError on a rank; see
                :meth:`refuse`.
        """
        refusal = None
        try:
            yield
        except (OSError, ValueError) as error:
            if self.count == 1:
                raise
            refusal = explain(error) if isinstance(error, OSError) else str(error)
        if self.count == 1:
            return
        refusals: list[str | None] = [None] * self.count
        dist.all_gather_object(refusals, refusal)
        for said in refusals:
            if said is not None:
                self.refuse(said)

    def refuse(self, message: str) -> NoReturn:
        """End a run for a reason that is known to every rank.

        Raises:
            ValueError: on the rank that writes messages, with ``message``.
            SystemExit: on the other ranks.
        """
        if self.leads:
            raise ValueError(message)
        raise SystemExit(USER_ERROR)

    def share(self, module: nn.Module, device: torch.device, custom: bool) -> nn.Module:
        """The module with gradients averaged over the ranks.

        Arguments:
            module: the module, with or without parameters.
            device: device of the module.
            custom: True if a step may leave some of its parameters unused.
        """
        if self.count == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(module, devices, find_unused_parameters=custom)

    def share_statistics(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with every BatchNorm computed over the batches of all ranks."""
        if self.count == 1:
            return module
        if device.type == "cuda":
            synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
            return synced
        for name, child in module.named_children():
            module.add_module(name, self.share_statistics(child, device))
        return _SharedBatchNorm.of(module) if isinstance(module, _BatchNorm) else module


class _Gather(torch.autograd.Function):
    """Gathering of the rows of all ranks. The gradient of a row is summed over the ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        first = dist.get_rank() * ctx.count
        return total[first : first + ctx.count]


class _Sum(torch.autograd.Function):
    """The sum over all ranks. Its gradient is the sum of the gradients of all ranks."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(_, gradients[0])


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total


class _SharedBatchNorm(_BatchNorm):
    """BatchNorm over the batches of all ranks, for the CPU; torch has one only for GPUs."""

    @classmethod
    def of(cls, norm: _BatchNorm) -> _BatchNorm:
        """The same layer as a shared BatchNorm, with its parameters and buffers."""
        norm.__class__ = cls
        return norm

    def _check_input_dim(self, _: Tensor) -> None:
        """Accept any number of dimensions."""

    def forward(self, images: Tensor) -> Tensor:
        """See :class:`torch.nn.BatchNorm2d`."""
        if not self.training and self.running_mean is not None:
            return super().forward(images)
        values = images.to(torch.promote_types(images.dtype, torch.float32))
        axes, ones = (0, *range(2, images.ndim)), (1,) * (images.ndim - 2)
        count = images.numel() // images.shape[1] * dist.get_world_size()
        mean = _sum(values.sum(axes)) / count
        centred = values - mean.view(-1, *ones)
        squares = _sum(centred.square().sum(axes))
        self._remember(mean.detach(), (squares / (count - 1)).detach())
        scaled: Tensor = centred * (squares / count + self.eps).rsqrt().view(-1, *ones)
        if self.affine:
            scaled = scaled * self.weight.view(-1, *ones) + self.bias.view(-1, *ones)
        return scaled.to(images.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if not self.training or self.running_mean is None:
            return
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = self.momentum
        if weight is None:  # cumulative mean over all batches
            weight = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


def find_device(name: str) -> torch.device:
    """The device to compute on. If there are several GPUs, the local rank selects one.

    Arguments:
        name: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ValueError: ``cuda`` was requested, and there is no CUDA GPU.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ValueError(
            "--device: expected cpu here, found cuda but no CUDA GPU; use --device cpu"
        )
    if not found or name == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """A context with the ranks that torchrun started, or with this process as the only rank."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    ranks = Ranks(dist.get_rank(), count)
    try:
        yield ranks
    except ValueError as error:
        if ranks.leads:
            raise
        raise ValueError(f"rank {ranks.rank}: {error}") from None
    except RuntimeError as error:
        if not lost_another(error):
            raise
        if not ranks.leads:  # the rank that ended, or the first rank, reports the reason
            raise SystemExit(USER_ERROR) from None
        raise Interrupted(
            "another rank ended in the middle of a step, see its message; the same command with "
            "--resume continues from the last checkpoint"
        ) from None
    finally:
        dist.destroy_process_group()


def lost_another(error: Exception) -> bool:
    """True if a collective operation failed because another rank ended.

    The backend gloo has no error type for this case, so the text is checked.
    """
    return isinstance(error, dist.DistError) or "gloo" in str(error)
