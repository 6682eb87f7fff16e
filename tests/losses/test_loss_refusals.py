"""What no loss takes is named."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.losses import (
    DotSimilarity,
    LpSimilarity,
    info_nce,
    symmetric_info_nce,
    symmetric_terms,
)

FOUR = torch.zeros(4, 2)
BAD = {
    "anchors and positives: expected one shape": (FOUR, torch.zeros(4, 3)),
    "anchors and positives: expected one": (FOUR[0], FOUR[0]),
    r"anchors and positives: expected one shape \(B, n\), found \(0": (FOUR[:0], FOUR[:0]),
    "anchors: expected at least 2": (FOUR[:1], FOUR[:1]),
    "codes: expected floating-point": (FOUR.long(), FOUR.long()),
}


@pytest.mark.parametrize("told", BAD)
@pytest.mark.parametrize("loss", [info_nce, symmetric_info_nce], ids=["one", "both"])
def test_bad_codes_are_named(told: str, loss: type) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        loss(*BAD[told], DotSimilarity())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperature_is_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature: expected a positive number"):
        info_nce(FOUR, FOUR, DotSimilarity(), temperature)


@pytest.mark.parametrize("first", [-1, 3])
def test_first_lies_in_the_negatives(first: int) -> None:
    for loss, negatives in ((info_nce, torch.zeros(6, 2)), (symmetric_terms, (FOUR, FOUR))):
        with pytest.raises(ValueError, match=f"first: expected .* found {first}"):
            loss(FOUR, FOUR, DotSimilarity(), 1.0, negatives, first=first)


def test_first_needs_negatives_and_more_than_itself() -> None:
    with pytest.raises(ValueError, match="first: expected None"):
        info_nce(FOUR, FOUR, DotSimilarity(), first=0)
    with pytest.raises(ValueError, match=r"first: expected 1 anchors .* at least 2 rows"):
        info_nce(FOUR[:1], FOUR[:1], DotSimilarity(), 1.0, FOUR[:1], first=0)


def test_negatives_fit_the_codes() -> None:
    for negatives in (torch.zeros(4, 3), torch.zeros(2), FOUR[:0]):
        with pytest.raises(ValueError, match=r"negatives: expected shape \(M, 2\)"):
            info_nce(FOUR, FOUR, DotSimilarity(), 1.0, negatives)
    for views in (FOUR, (FOUR,), (FOUR, FOUR[:2])):
        with pytest.raises(ValueError, match="negatives: expected"):
            symmetric_info_nce(FOUR, FOUR, DotSimilarity(), 1.0, views)  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [0.5, 0, -1, math.nan, math.inf])
def test_lp_needs_a_norm(p: float) -> None:
    with pytest.raises(ValueError, match="p: expected"):
        LpSimilarity(p)


@pytest.mark.parametrize("scales", [[[1.0]], [1.0, 0.0], [1.0, -1.0], [math.nan], [math.inf]])
def test_scales_are_positive(scales: list[float]) -> None:
    with pytest.raises(ValueError, match="scales: expected"):
        LpSimilarity(2, torch.tensor(scales))


def test_scales_fit_the_codes_whenever_they_are_used() -> None:
    scales = torch.ones(3)
    with pytest.raises(ValueError, match=r"scales: expected shape \(2,\), found \(3,\)"):
        info_nce(FOUR, FOUR, LpSimilarity(1, scales))
    similarity = LpSimilarity(1, scales[:2])
    scales[1] = -1
    with pytest.raises(ValueError, match="scales: expected positive"):
        info_nce(FOUR, FOUR, similarity)


def test_what_takes_no_gradient_or_is_no_tensor_is_refused() -> None:
    u, similarity = torch.rand(4, 3), LpSimilarity(2)
    with pytest.raises(ValueError, match="temperature: expected a number, found a tensor that"):
        info_nce(u, u, similarity, torch.tensor(0.5, requires_grad=True))  # type: ignore[arg-type]
    for wrong in ((u, u), [u]):
        with pytest.raises(ValueError, match=r"negatives: expected one tensor .*concatenate"):
            info_nce(u, u, similarity, negatives=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codes: expected tensors"):
        info_nce(u.numpy(), u, similarity)  # type: ignore[arg-type]
