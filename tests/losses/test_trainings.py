"""Tiny trainings on three mixed latents: each loss recovers what its theorem says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.losses.tiny_runs import trained

pytestmark = pytest.mark.slow

BOX = {"conditional": "normal", "sigma": 0.1, "loss": "l2", "output_space": "box"}
SPHERE = {"space": "sphere", "conditional": "vmf"}
WORLD = {"space": "real", "conditional": "autoregressive", "sigma": 0.6, "learning_rate": 3e-3}


@pytest.mark.parametrize("estimator", ["decoupled", "nce", "nwj", "spectral"])
def test_estimators_recover_latents_of_a_box(estimator: str) -> None:
    scores, _ = trained(**BOX, estimator=estimator, steps=250)
    assert scores.r2 > 0.95


def test_the_spectral_loss_recovers_latents_of_the_sphere() -> None:
    options = {"sigma": 0.5, "loss": "dot", "estimator": "spectral", "codes": 4}
    scores, _ = trained(**SPHERE, **options, steps=200)
    assert scores.r2 > 0.95


def test_diet_recovers_latents_of_the_sphere() -> None:
    options: dict[str, Any] = {"sigma": 0.1, "loss": "diet", "anchor_rows": 200}
    scores, _ = trained(**SPHERE, **options, steps=350, learning_rate=1e-2)
    assert scores.r2 > 0.95


def test_lejepa_recovers_normal_latents_up_to_a_rotation() -> None:
    scores, _ = trained(
        **WORLD, loss="lejepa", loss_option=("slices=32", "weight=0.01"), steps=450
    )
    assert scores.r2 > 0.95
    assert scores.mcc < 0.95


def test_whitening_recovers_normal_latents() -> None:
    scores, _ = trained(**WORLD, loss="whitening", steps=700)
    assert scores.r2 > 0.9


def test_a_variational_autoencoder_does_not_find_the_factors() -> None:
    scores, _ = trained(loss="beta-vae", steps=250)
    assert scores.mcc < 0.8
