"""Tables of our own: questions to losses, pairs and metrics, beside figures where there are any.

Figures are percentages, as in :mod:`benchmark.suites.paper`.

References:
    Towards a Unified Framework of Contrastive Learning for Disentangled Representations, Matthes,
    Han, Shen, 2023, https://arxiv.org/abs/2311.04774
    InfoNCE: Identifying the Gap Between Theory and Practice, Rusak et al., 2024,
    https://arxiv.org/abs/2407.00143
    Self-Supervised Learning with Data Augmentations Provably Isolates Content from Style, von
    Kügelgen et al., 2021, https://arxiv.org/abs/2106.04619
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark.losses.catalogue import SUPERVISED
from benchmark.suites.needs import Needs
from benchmark.suites.paper import SMALL_EXTENT, SMALL_IMAGES, SMALL_MIXING, TABLES, WIDE
from benchmark.suites.table import Figure, Row, Table

_THREE = {"seeds": (0, 1, 2)}
_MIXING = {"source": "mixing", **_THREE}
_OF_MIXING = {"encoder": "mlp", "resolution": None}  # in place of the settings of images
_FREE_OF_OFFSETS = ("info-nce", "decoupled")  # they need no normaliser of the conditional
_LIGHT_IMAGES = {**SMALL_IMAGES, "encoder": "conv", "resolution": 32}
_SHORT_IMAGES = {  # an hour for all rows
    **_LIGHT_IMAGES,
    "steps": 800,
    "learning_rate": 1e-3,
    "precision": "float32",
}
_GROUP_IMAGES = {  # 255 negatives, since with 63 the third rotation is often not found
    **_LIGHT_IMAGES,
    "batch_size": 256,
    "steps": 1000,
    "learning_rate": 4e-3,
    "precision": "float32",
}
_BATCHES = (64, 256, 1024, 4096)
_WIDTHS = (0.05, 0.1, 0.3)


def _estimators() -> Iterator[Row]:
    """One critic under five estimators. The model has the form of the conditional."""
    critic = {"conditional": "laplace", "sigma": 0.05, "loss": "l1", "output_space": "box"}
    small = {"sigma": 0.1, "extent": SMALL_EXTENT}
    for name in ("info-nce", "decoupled", "nce", "spectral", "nwj"):
        yield Row(name, {**critic, "estimator": name}, {}, name in _FREE_OF_OFFSETS, small)


def _aninfonce() -> Iterator[Row]:
    """Conditionals of one scale, and of scales that differ by factor, under both losses."""
    uneven = {"conditional": "anisotropic", "sigma": 0.2}
    yield Row("vmf-dot", {"conditional": "vmf", "sigma": 0.1, "loss": "dot"}, {})
    yield Row("anisotropic-dot", {**uneven, "loss": "dot"}, {})
    reported = {"r2": Figure(99.8), "mcc": Figure(99.0)}
    yield Row("anisotropic-aninfonce", {**uneven, "loss": "aninfonce"}, reported, True)


def _negatives() -> Iterator[Row]:
    """Batches against the width of exact positives. Narrow positives need many negatives."""
    for sigma in _WIDTHS:
        for batch in _BATCHES:
            pairs = {"conditional": "normal", "sigma": sigma, "batch_size": batch}
            small = {"extent": SMALL_EXTENT, "batch_size": batch}
            options = {**pairs, "loss": "l2", "output_space": "box"}
            yield Row(f"sigma{sigma:g}-batch{batch}", options, {}, True, small)


# Factors that pairs redraw, and nonlinear R^2 that von Kügelgen et al. report for Causal3DIdent.
# Their positions include the angle of the spotlight, and their images have seven shapes.
_REDRAWN: dict[str, tuple[str, dict[str, float]]] = {
    "hues": ("hue", {"position": 59, "spotlight": 91, "rotation": 30}),
    "positions": ("position,spotlight", {"position": 16, "spotlight": 0, "rotation": 29}),
    "rotations": ("rotation", {"position": 53, "spotlight": 90, "rotation": 28}),
    "positions-hues": (
        "position,spotlight,hue",
        {"position": 22, "spotlight": 7, "rotation": 34},
    ),
    "rotations-hues": ("rotation,hue", {"position": 57, "spotlight": 90, "rotation": 28}),
}


def _content_style() -> Iterator[Row]:
    """Kept factors are content. Mixed latents have as many of each kind; images have one shape.

    Of mixed latents there are as many codes as content factors, as von Kügelgen et al. have.
    """
    mixed = {"source": "mixing", "space": "real", "loss": "l2", "output_space": "unbounded"}
    for name, chance, style in (("every", "", 7), ("some", "@0.75", 6)):
        kept, few = ({"pairs": f"z1..z{n}=keep;rest=normal:1{chance}", "codes": n} for n in (5, 3))
        yield Row(
            f"mixing-{name}",
            {**mixed, **kept},
            {"r2:content": Figure(100), "r2:style": Figure(style)},
            small={**SMALL_MIXING, **_OF_MIXING, "factors": 6, **few},
        )
    for name, (redrawn, reported) in _REDRAWN.items():
        rule = f"{redrawn}=normal:1;rest=keep"
        paper = {f"r2:{group}": Figure(value) for group, value in reported.items()}
        yield Row(f"images-{name}", {"pairs": rule, "loss": "cosine"}, paper)


def _two_materials() -> Iterator[Row]:
    """Views of one latent in two materials, beside pairs by nearest latent."""
    unbounded = {"output_space": "unbounded"}
    yield Row("untrained", {"loss": SUPERVISED, **unbounded, "steps": 0}, {})
    yield Row("supervised", {"loss": SUPERVISED, **unbounded}, {})
    yield Row("two-materials-cosine", {"source": "rendered", "loss": "cosine"}, {})
    yield Row("two-materials-l2", {"source": "rendered", "loss": "l2", **unbounded}, {})
    nearest = {"conditional": "normal", "sigma": 0.1}
    yield Row("nearest-l2", {**nearest, "loss": "l2", **unbounded}, {})


def _ica() -> Iterator[Row]:
    """Rows of other tables whose MCC a rotation may lower. Gaussian latents are the last of them.

    ICA cannot undo a rotation of Gaussian latents.
    """
    for table, names in (
        ("table2", ("normal-box-l2", "normal-unbounded-l2", "laplace-unbounded-l2")),
        ("table4", ("normal-box-l2", "normal-unbounded-l2")),
        ("table1", ("real-normal-normal-unbounded-l2",)),
    ):
        for row in TABLES[table].rows:
            if row.name in names:
                options, small = (TABLES[table].options(row, s) for s in ("paper", "small"))
                if TABLES[table].takes_data:
                    small |= {**_SHORT_IMAGES, "sigma": 0.1, "extent": None, "loss_option": None}
                own = {name: value for name, value in small.items() if options.get(name) != value}
                yield Row(f"{table}-{row.name}", options, row.paper, row.matches, own)


# Groups of factors, each of which varies in a set of its own, in which all others are held.
_GROUPS = {
    "positions": ("x", "y", "z"),
    "rotations": ("alpha", "beta", "gamma"),
    "spotlight-hues": ("theta", "object_hue", "spotlight_hue", "background_hue"),
}


_GROUP_STEPS = {  # of rotations, and of the other groups, by pairs and output space
    ("nearest", "box"): (1500, 500),
    ("nearest", "unbounded"): (1000, 500),
    ("exact", "box"): (1000, 200),
    ("exact", "unbounded"): (1000, 200),
}


def _groups() -> Iterator[Row]:
    """Every group under regression and two output spaces, with nearest and with exact pairs.

    Rotations need most steps, and more until they lie along the axes of a box. After more than a
    few epochs exact pairs are memorised.
    """
    law = {"conditional": "normal", "sigma": 0.1}
    for group, factors in _GROUPS.items():
        needs = Needs(factors=factors, alone=True)
        regression = {"loss": SUPERVISED, "output_space": "unbounded"}
        yield Row(f"{group}-supervised", regression, {}, folder=group, needs=needs)
        for (pairs, space), (hard, easy) in _GROUP_STEPS.items():
            positives = law if pairs == "nearest" else {"source": "rendered"}
            yield Row(
                f"{group}-{pairs}-{space}",
                {**positives, "loss": "l2", "output_space": space},
                {},
                matches=space == "box",
                small={
                    **WIDE,
                    **({"sigma": 0.5} if pairs == "nearest" else {}),
                    **({"extent": SMALL_EXTENT} if space == "box" else {}),
                    "steps": hard if group == "rotations" else easy,
                },
                folder=group,
                needs=needs,
            )


QUESTIONS = {
    table.name: table
    for table in (
        Table(
            "estimators",
            "Estimators: one critic under five losses, MLP mixing",
            ("r2", "mcc"),
            tuple(_estimators()),
            _MIXING,
            SMALL_MIXING,
        ),
        Table(
            "aninfonce",
            "AnInfoNCE: factors of different scales on the sphere, MLP mixing",
            ("r2", "mcc"),
            tuple(_aninfonce()),
            {**_MIXING, "space": "sphere"},
            SMALL_MIXING,
        ),
        Table(
            "negatives",
            "Negatives: batches against the width of exact positives, MLP mixing",
            ("r2", "mcc"),
            tuple(_negatives()),
            _MIXING,
            {**SMALL_MIXING, "steps": 750, "learning_rate": 3e-3},
        ),
        Table(
            "groups",
            "Groups: positions; rotations; spotlight and hues; each with the others held",
            ("r2", "mcc", "ica_mcc"),
            tuple(_groups()),
            {**_THREE, "data": Path("data/groups")},
            _GROUP_IMAGES,
            takes_data=True,
        ),
        Table(
            "content-style",
            "Content and style: factors that pairs keep, and factors that they redraw",
            ("r2:content", "r2:style", "r2:position", "r2:spotlight", "r2:rotation", "r2:hue"),
            tuple(_content_style()),
            _THREE,
            _SHORT_IMAGES,
            takes_data=True,
            needs=Needs(),
        ),
        Table(
            "two-materials",
            "Two materials: rubber and metal views of one latent",
            ("r2", "nonlinear_r2", "mcc"),
            tuple(_two_materials()),
            _THREE,
            _SHORT_IMAGES,
            takes_data=True,
            needs=Needs(two_materials=True),
        ),
        Table(
            "ica",
            "ICA: MCC before and after FastICA of the codes",
            ("r2", "mcc", "ica_mcc"),
            tuple(_ica()),
            _THREE,
            {},
            takes_data=True,
            needs=Needs(),
        ),
    )
}
