"""Sums of similarities: codes in a box beside codes on a sphere."""

from __future__ import annotations

import pytest
import torch

from benchmark.encoders.output_spaces import build_space, find_extent
from benchmark.losses import info_nce
from benchmark.losses.pairwise.info_nce import InfoNCE
from benchmark.losses.similarities import SumSimilarity, parse_similarity
from benchmark.losses.views import Views

SPHERE, N = 4, 7


def codes(seed: int, rows: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(rows, N, generator=generator, dtype=torch.float64)
    return drawn.requires_grad_()


@pytest.mark.parametrize(("name", "power"), [("l1+dot", 1), ("l2+dot", 2), ("l3+dot", 3)])
def test_value_and_gradient_are_those_of_the_two_parts(name: str, power: int) -> None:
    u, v = codes(0), codes(1)
    scales = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    similarity = parse_similarity(name, scales, SPHERE)
    assert isinstance(similarity, SumSimilarity)
    loss = info_nce(u, v, similarity, 0.7)
    found = torch.autograd.grad(loss, (u, v, scales))

    def s(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        steps = (a[..., : N - SPHERE] - b[..., : N - SPHERE]).abs() ** power
        return (a[..., -SPHERE:] * b[..., -SPHERE:]).sum(-1) - (scales * steps).sum(-1)

    crossed = (s(u[:, None], u) / 0.7).masked_fill(torch.eye(9, dtype=torch.bool), -torch.inf)
    paired = s(u, v) / 0.7
    expected = (torch.cat([paired[:, None], crossed], 1).logsumexp(1) - paired).mean()
    assert torch.allclose(loss, expected)
    for ours, theirs in zip(found, torch.autograd.grad(expected, (u, v, scales)), strict=True):
        assert torch.allclose(ours, theirs)


def test_a_cosine_ignores_the_norms_of_the_last_codes() -> None:
    u, v = codes(0), codes(1)
    longer = u.detach().clone()
    longer[:, -SPHERE:] *= 3.0
    similarity = parse_similarity("l2+cosine", sphere=SPHERE)
    assert similarity is not None
    assert torch.allclose(info_nce(u, v, similarity), info_nce(longer, v, similarity))


def test_a_loss_learns_scales_of_the_first_codes_alone() -> None:
    loss = InfoNCE(N, "l2+dot", learned_scales=True, sphere=SPHERE)
    assert loss.log_scales.shape == (N - SPHERE,)
    terms = loss(Views(codes=codes(0).float(), positives=codes(1).float()))
    terms["loss"].backward()
    assert loss.log_scales.grad is not None
    assert bool((loss.log_scales.grad != 0).all())


@pytest.mark.parametrize("sphere", [0, N])
def test_a_sum_needs_codes_of_both_kinds(sphere: int) -> None:
    with pytest.raises(ValueError, match=r"similarity: expected one for codes of one kind"):
        InfoNCE(N, "l2+dot", sphere=sphere)
    with pytest.raises(ValueError, match=r"--output-space: expected one for codes of one kind"):
        build_space("box+sphere", N, 10.0, False, sphere)


@pytest.mark.parametrize("name", ["dot+l2", "l2+l2", "l2+", "+dot", "l0.5+dot", "l2+dot+dot"])
def test_other_sums_are_no_similarities(name: str) -> None:
    assert parse_similarity(name) is None


@pytest.mark.parametrize("linear", [False, True])
def test_codes_of_both_kinds_lie_in_their_spaces(linear: bool) -> None:
    extent = find_extent("box+learned-sphere", None, linear)
    assert extent == (1.0 if linear else 10.0)
    space = build_space("box+learned-sphere", N, extent, linear, SPHERE)
    found = space(5 * codes(2).float())
    box, sphere = found[:, :-SPHERE], found[:, -SPHERE:]
    assert bool(((box > 0) & (box < extent)).all())
    assert torch.allclose(sphere.norm(dim=1), torch.ones(9))
    assert len(list(space.parameters())) == 2
    assert len(list(build_space("box+sphere", N, 1.0, linear, SPHERE).parameters())) == 1
