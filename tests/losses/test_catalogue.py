"""Losses by name: their arguments, and losses of one's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.output_spaces import OUTPUT_SPACES
from benchmark.losses.catalogue import (
    LOSSES,
    checked_options,
    find_loss,
    is_paired,
    is_supervised,
    reads_latents,
)
from benchmark.losses.match import fitting_space, mismatch
from benchmark.losses.views import Views
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Batch, Machine
from benchmark.training.objective import Objective

CPU = Machine(torch.device("cpu"))
HERE = __name__


class Mine(nn.Module):
    """The distance of positives, with one argument of each type."""

    output_space = ("sphere", "unbounded")
    seen: Views

    def __init__(
        self, n: int, weight: float = 1.0, power: int = 2, root: bool = False, kind: str = "mean"
    ) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(n))
        self.options = (weight, power, root, kind)

    def forward(self, views: Views) -> dict[str, Tensor]:
        type(self).seen = views
        u, v = views.pair()
        apart = (u + self.bias - v).abs().pow(self.options[1]).mean()
        return {"loss": self.options[0] * apart, "apart": apart}

    @staticmethod
    def matches(config: Config) -> str | None:
        return "the batch is small" if config.batch_size < 10 else None


class Asks(nn.Module):
    """A loss that asks for the facts of a run."""

    def __init__(self, n: int, shape: tuple[int, ...], features: int, rate: float = 1.0) -> None:
        super().__init__()
        self.head = nn.Linear(features, n)
        self.asked = (n, shape, features, rate)

    def forward(self, views: Views) -> dict[str, Tensor]:
        assert views.features is not None
        return {"loss": self.head(views.features).square().mean()}


def asks_rows(n: int, rows: int) -> nn.Module:
    return nn.Linear(n, rows)


def asks_two(n: int, m: int) -> nn.Module:
    return nn.Linear(n, m)


class Peeks(nn.Module):
    supervised = True
    paired = False

    def __init__(self, _: int) -> None:
        super().__init__()

    def forward(self, views: Views) -> dict[str, Tensor]:
        assert views.positives is None
        assert views.latents is not None
        return {"loss": (views.codes - views.latents).abs().mean()}


class Returns(nn.Module):
    """A loss that returns what the test tells it to."""

    found: Any = None

    def __init__(self, _: int) -> None:
        super().__init__()

    def forward(self, views: Views) -> Any:
        return self.found(views)


def build(loss: str, **asked: Any) -> tuple[Objective, Batch]:
    options = complete(
        Options(
            **{"source": "mixing", "factors": 3, "batch_size": 8, "steps": 1, **asked}, loss=loss
        )
    )
    source = open_source(options)
    objective = Objective(resolve(options, source), source, 0, Ranks())
    return objective, next(source.batches(0, range(1), 8, CPU))


def test_a_loss_of_ones_own_is_trained() -> None:
    objective, batch = build(f"{HERE}:Mine", loss_option=("power=3", "weight=0.5"))
    terms = objective(batch)
    assert terms["loss"].item() == pytest.approx(0.5 * terms["apart"].item())
    terms["loss"].backward()
    assert objective.loss.loss.bias.grad is not None  # type: ignore[union-attr]
    assert objective.loss.loss.options == (0.5, 3, False, "mean")  # type: ignore[union-attr]
    views = Mine.seen
    assert views.codes.shape == (8, 3)
    assert views.features is not None
    assert views.features.shape == (8, 30)
    assert views.latents is None
    assert views.inputs is batch.anchors
    assert views.positive_inputs is batch.positives


def test_the_seed_alone_decides_the_parameters_of_a_loss() -> None:
    state = torch.get_rng_state()
    first, second = (build(f"{HERE}:Mine")[0].loss for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.loss.bias, second.loss.bias)  # type: ignore[union-attr]


def test_attributes_of_a_loss_are_heeded() -> None:
    name = f"{HERE}:Mine"
    assert fitting_space(name, None, "real") == "sphere"
    with pytest.raises(ValueError, match=r"\(sphere, unbounded\), found box"):
        fitting_space(name, "box", "real")
    assert fitting_space(f"{HERE}:Asks", None, "real") == next(iter(OUTPUT_SPACES))
    for size, reason in ((8, "the batch is small"), (16, None)):
        options = complete(Options(source="mixing", loss=name, batch_size=size, steps=1))
        assert mismatch(resolve(options, open_source(options))) == reason
    assert (is_paired(name), is_supervised(name)) == (True, False)
    assert (is_paired(f"{HERE}:Peeks"), is_supervised(f"{HERE}:Peeks")) == (False, True)


def test_facts_of_the_run_are_given() -> None:
    objective, batch = build(f"{HERE}:Asks", loss_option=("rate=2",))
    assert objective.loss.loss.asked == (3, (3,), 30, 2.0)  # type: ignore[union-attr]
    assert objective(batch)["loss"].requires_grad


def test_supervised_losses_of_ones_own_see_latents_and_no_pairs() -> None:
    objective, batch = build(f"{HERE}:Peeks")
    assert batch.positives is None
    expected = (objective.model(batch.anchors) - batch.latents).abs().mean()
    assert objective(batch)["loss"].item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("loss", "asked", "words"),
    [
        ("Asks", {"encoder": "identity", "steps": 0}, "give --features and --projector"),
        ("asks_rows", {}, "a source whose anchors are numbered rows"),
        ("Mine", {"temperature": 0.5}, "--temperature: expected with a contrastive --loss"),
        ("Mine", {"symmetric": True}, "--symmetric: expected with a contrastive --loss"),
        ("Mine", {"estimator": "decoupled"}, "--estimator: expected with a contrastive --loss"),
        ("Peeks", {"sigma": 0.5}, "which has no pairs"),
        ("Missing", {}, "to be importable"),
        ("HERE", {}, "to be a class or a function"),
    ],
)
def test_what_does_not_fit_a_loss_is_refused(loss: str, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(f"{HERE}:{loss}", **asked)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (lambda _: 1.0, "with the entry loss from .*:Returns, found float"),
        (lambda _: {"total": torch.zeros(())}, "found entries total"),
        (lambda v: {"loss": v.codes.sum(1)}, r"scalar tensors by name .*, found shape \(8,\)"),
        (lambda v: {"loss": v.codes.sum(), "x": 1.0}, "found float for x"),
        (lambda v: {"loss": v.codes.detach().sum()}, "found one without gradient"),
        (lambda v: {"loss": v.codes @ v.codes}, "found RuntimeError: .*; change the loss"),
        (lambda v: {"loss": v.codes.sum(), "step": v.codes.sum()}, "other names than step"),
    ],
)
def test_what_a_loss_of_ones_own_returns_is_checked(found: Any, words: str) -> None:
    objective, batch = build(f"{HERE}:Returns")
    Returns.found = staticmethod(found)
    with pytest.raises(ValueError, match=words):
        objective(batch)


def test_losses_that_cannot_be_made_are_named() -> None:
    with pytest.raises(ValueError, match="expected math:floor to make a torch"):
        build("math:floor")
    with pytest.raises(ValueError, match=r"expected .*:asks_two\(3\) to make a module"):
        build(f"{HERE}:asks_two")
    with pytest.raises(ValueError, match="expected math:hypot to have a signature"):
        build("math:hypot")


def test_arguments_have_one_spelling() -> None:
    name = f"{HERE}:Mine"
    found = checked_options(name, None, ("weight=2", "kind=sum", "root=TRUE", "power=3"))
    assert found == ("kind=sum", "power=3", "root=True", "weight=2.0")
    assert checked_options(name, None, found) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("weight", "expected name=value, found weight"),
        ("wieght=2", "did you mean 'weight'"),
        ("weight=x", "expected a number for weight, found 'x'"),
        ("power=2.5", "expected an integer for power"),
        ("root=maybe", "expected true or false for root"),
        ("n=4", "expected one of weight, power, root, kind"),
    ],
)
def test_arguments_that_a_loss_does_not_take_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_options(f"{HERE}:Mine", None, (text,))
    with pytest.raises(ValueError, match="found it twice"):
        checked_options(f"{HERE}:Mine", None, ("power=2", "power=3"))
    with pytest.raises(ValueError, match="expected none for the loss l2"):
        checked_options("l2", "decoupled", ("temperature=1",))
    with pytest.raises(ValueError, match="expected one of wide, found 'temperature'"):
        checked_options("l2", None, ("temperature=1",))


def test_every_loss_by_name_has_a_docstring_on_its_theory() -> None:
    for name in LOSSES:
        assert find_loss(name).__doc__


def test_a_configuration_says_whether_latents_were_read_without_an_import() -> None:
    found = {}
    for name in ("supervised", "l2", f"{HERE}:Peeks", f"{HERE}:Mine"):
        options = complete(Options(source="mixing", factors=3, loss=name))
        found[name] = resolve(options, open_source(options))
    assert [reads_latents(config) for config in found.values()] == [True, False, True, False]
    unknown = found["l2"].model_copy(update={"loss": "no_such_package:Loss", "supervised": True})
    assert reads_latents(unknown)


class Careless(Mine):
    def matches(self, config: Config) -> str | None:  # type: ignore[override]
        return config.loss

    def after_step(self, model: nn.Module) -> None:
        raise LookupError(f"no {len(list(model.children()))}")


def test_failing_methods_of_a_loss_are_named() -> None:
    name = f"{HERE}:Careless"
    options = complete(Options(source="mixing", factors=3, loss=name))
    with pytest.raises(ValueError, match=r"matches of .*:Careless .*; make it a static method"):
        mismatch(resolve(options, open_source(options)))
    objective, _ = build(name)
    with pytest.raises(ValueError, match=r"after_step of .*:Careless .* LookupError: no 2"):
        objective.after_step()
