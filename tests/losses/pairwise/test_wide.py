"""InfoNCE with a second head of many codes."""

from __future__ import annotations

import pytest
import torch

from benchmark.losses.catalogue import Facts, build_loss
from benchmark.losses.pairwise.info_nce import InfoNCE
from benchmark.losses.views import Views
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options


def views() -> Views:
    draw = torch.Generator().manual_seed(0)
    codes, positives, features, positive_features = (
        torch.randn(16, n, generator=draw).requires_grad_() for n in (3, 3, 7, 7)
    )
    return Views(
        codes=codes,
        positives=positives,
        features=features,
        positive_features=positive_features,
    )


def test_the_term_of_wide_codes_is_info_nce_of_the_second_head() -> None:
    loss, batch = InfoNCE(3, similarity="l1", features=7, wide=20), views()
    terms = loss(batch)
    head = dict(loss.named_children())["head"]
    heads = Views(codes=head(batch.features), positives=head(batch.positive_features))
    own, second = InfoNCE(3, similarity="l1")(batch)["loss"], InfoNCE(20)(heads)["loss"]
    assert torch.allclose(terms["wide"], second)
    assert torch.allclose(terms["loss"], own + second)
    assert head.weight.shape == (20, 7)


def test_it_moves_the_features_but_not_the_codes() -> None:
    batch, same = views(), views()
    InfoNCE(3, features=7, wide=20)(batch)["loss"].backward()
    InfoNCE(3)(same)["loss"].backward()
    assert batch.codes.grad is not None
    assert same.codes.grad is not None
    assert torch.equal(batch.codes.grad, same.codes.grad)
    assert batch.features is not None
    assert batch.features.grad is not None
    assert batch.features.grad.abs().max() > 0


def test_wide_codes_are_asked_for_as_an_option_of_the_loss() -> None:
    options = complete(Options(source="mixing", factors=3, loss_option=("wide=20",)))
    config = resolve(options, open_source(options))
    assert config.loss_option == ("wide=20",)
    loss = build_loss(config, Facts(3, (3,), features=7), seed=0)
    assert loss(views()).keys() >= {"loss", "alignment", "uniformity", "wide"}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("wide=20", "wide: expected with an encoder that has a layer before the last, found none"),
        ("wide=-1", "wide: expected a number of codes from 0, found -1"),
    ],
)
def test_wide_codes_that_cannot_be_are_refused(option: str, words: str) -> None:
    options = complete(Options(source="mixing", factors=3, loss_option=(option,)))
    config = resolve(options, open_source(options))
    with pytest.raises(ValueError, match=words):
        build_loss(config, Facts(3, (3,)), seed=0)


def test_without_wide_codes_an_encoder_needs_no_features() -> None:
    options = complete(Options(source="mixing", factors=3))
    loss = build_loss(resolve(options, open_source(options)), Facts(3, (3,)), seed=0)
    assert not list(loss.parameters())
