"""Whole training steps on another device: nothing mixes, nobody waits, and the weights agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.losses.catalogue import LOSSES
from benchmark.losses.redundancy.vicreg import VICReg
from benchmark.losses.views import Views
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources import images
from benchmark.sources.source import Machine
from benchmark.training.log import Unread
from benchmark.training.objective import Objective
from tests.conftest import done_at_once, make_images
from tests.devices.pretend import MixedError, pretending
from tests.pedestrians import make_pickle
from tests.sources.custom.spirals import PATH as SPIRALS

BATCH = 16
MIXING = {"source": "mixing", "factors": 3}
ESTIMATORS = ("decoupled", "nce", "spectral", "nwj")


@pytest.fixture(autouse=True)
def in_this_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are made in the thread in which the device exists."""
    monkeypatch.setattr(images, "ahead", lambda fetch, numbers, _: map(fetch, numbers))


def trained(device: str, steps: int = 3, **asked: Any) -> tuple[dict[str, Tensor], list[Any]]:
    """Weights after some steps, and what was waited for in each."""
    options = complete(Options(**{"batch_size": BATCH, "steps": steps, **asked}))
    source = open_source(options)
    with pretending() as waits, torch.random.fork_rng():
        torch.manual_seed(0)
        objective = Objective(resolve(options, source), source, 0, Ranks()).to(device)
        adam = torch.optim.Adam(objective.parameters())
        unread, waited = Unread(), []
        machine = Machine(torch.device(device))
        for number, batch in enumerate(source.batches(0, range(steps), BATCH, machine), start=1):
            adam.zero_grad()
            terms = objective(batch)
            terms["loss"].backward()
            adam.step()
            objective.after_step()
            unread.add(number, terms)
            waited.append(dict(waits.counts))
            waits.counts.clear()
        _, read = unread.read(stop=False, ranks=Ranks())
        assert all(value == value for terms in read.values() for value in terms.values())
        return {
            name: value.detach().cpu() for name, value in objective.state_dict().items()
        }, waited


def check(**asked: Any) -> None:
    there, waited = trained("pretend:0", **asked)
    here, _ = trained("cpu", **asked)
    assert waited[1:] == [{}] * (len(waited) - 1)  # the first batch opens files and tables
    assert there.keys() == here.keys()
    for name, value in here.items():
        torch.testing.assert_close(there[name], value, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    "asked",
    [
        *({"loss": name} for name in LOSSES if name != "diet"),
        *({"loss": "l1", "estimator": name} for name in ESTIMATORS),
        {"loss": "l1", "learned_scales": True},
        {"loss": "l2", "symmetric": True},
        {"loss": "l2", "loss_option": ("wide=8",)},
        {"loss": "l2", "output_space": "box"},
        {"loss": "dot", "space": "sphere"},
        {"loss": "l2", "space": "real", "conditional": "normal", "sigma": 0.3},
        {"loss": "l1", "conditional": "laplace", "sigma": 0.2},
        {"loss": "l3", "conditional": "gennorm3", "sigma": 0.2},
        {"loss": "dot", "space": "sphere", "output_space": "learned-sphere"},
        {"loss": "l2", "output_space": "fixed-box"},
        {"loss": "l2", "projector": (8, 8)},
        {"loss": "l2", "protocol": "published"},
        {"loss": "l2", "pairs": "z1=keep;rest=normal:0.3"},
        {"loss": "l2", "pairs": "z1,z3=keep;rest=normal:0.3"},
        {"loss": "l2", "pairs": "z2=keep;rest=normal:0.3"},
        {"loss": "l2", "pairs": "z1=keep;rest=normal:0.3@0.75"},
        {"loss": "l2", "pairs": "rest=normal:0.3/2"},
    ],
    ids=str,
)
def test_a_step_of_mixing(asked: dict[str, Any]) -> None:
    check(**MIXING, **asked)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_images(tmp_path_factory.mktemp("packed"), n=120, n_test=40)
    done_at_once("pack", folder)
    return folder


@pytest.mark.parametrize(
    "asked",
    [
        {"encoder": "conv", "source": "nearest"},
        {"encoder": "conv", "source": "nearest", "anchor": "marginal"},
        {"encoder": "conv", "source": "nearest", "loss": "supervised"},
        {"encoder": "conv", "source": "augmented"},
        {"encoder": "conv", "source": "nearest", "loss": "diet"},
        {"encoder": "resnet18", "source": "nearest"},
        {"encoder": "glimpse", "source": "nearest"},
        {"encoder": "conv", "source": "nearest", "pairs": "hue=keep;rest=normal:0.3"},
    ],
    ids=str,
)
def test_a_step_of_images(asked: dict[str, Any], packed: Path) -> None:
    check(data=packed, **asked)


def test_a_step_of_tracks(tmp_path: Path) -> None:
    tracks = make_pickle(tmp_path, [40, 30])
    check(data=tracks, source="kitti", encoder="conv")


def test_a_step_of_a_users_source() -> None:
    check(source=SPIRALS, loss="l2")


def test_a_loss_that_forgets_the_device_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = VICReg.forward

    def forgetful(self: VICReg, views: Views) -> dict[str, Tensor]:
        terms = forward(self, views)
        weights = torch.ones(views.codes.shape[1])
        return {**terms, "loss": terms["loss"] + (views.codes * weights).mean()}

    monkeypatch.setattr(VICReg, "forward", forgetful)
    trained("cpu", **MIXING, loss="vicreg")
    with pytest.raises(MixedError):
        trained("pretend", **MIXING, loss="vicreg")
