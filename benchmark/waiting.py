"""How much of a training step goes by waiting for its batch."""

from __future__ import annotations

import time

import torch

from benchmark.config import Config
from benchmark.sources import Machine, Source, build_pairs
from benchmark.training import batch_loss, build_model
from threedident.dataset import ThreeDIdent

_BATCH = 64
_WARM_UP = 2


def waiting_share(dataset: ThreeDIdent, workers: int, steps: int) -> tuple[float, float]:
    """Seconds a step of ResNet-18 takes on the CPU, and the share of it spent waiting for data.

    Arguments:
        dataset: the train split; its images are gathered here if packed, else by processes.
        workers: loader processes.
        steps: how many to measure, after two that are not.
    """
    config = Config(
        encoder="resnet18",
        loss="l2",
        output_space="box",
        conditional="normal",
        sigma=0.1,
        temperature=1.0,
        data={},
        resolution=dataset.resolution,
        steps=steps,
        batch_size=_BATCH,
        learning_rate=1e-4,
        eval_every=steps,
        seeds=(0,),
    )
    machine = Machine(torch.device("cpu"), workers)
    model = build_model(config, dataset, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    source = Source(dataset, build_pairs(config, dataset, 0), 0, _BATCH, machine)
    waited = worked = 0.0
    batches = source.batches(0, _WARM_UP + steps)
    for step in range(_WARM_UP + steps):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        loss = batch_loss(model, batch, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        end = time.perf_counter()
        if step >= _WARM_UP:
            waited, worked = waited + ready - start, worked + end - ready
    return (waited + worked) / steps, waited / (waited + worked)
