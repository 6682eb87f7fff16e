"""Options of a run: their declarations, their values, and their command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel

from benchmark.config import Config, Positive
from benchmark.option import CUSTOM, Option, of_images
from benchmark.settings import CustomSettings, ImageSettings, MaskSettings, MixingSettings


class Data(BaseModel):
    """Declarations of the options on data and pairs that are not settings of one source."""

    source: Annotated[
        str,
        Option(
            "Data",
            "Positive pairs: {names}, which are images by nearest latent, rendered exactly or "
            "augmented, mixed latents, and KITTI Masks; or one of your own as my_pkg.data:Mine.",
            default="nearest",
        ),
    ]
    data: Annotated[
        Path | None,
        Option(
            "Data",
            "Data set [default: data/3dident; KITTI data/kitti_peds_v2.pickle].",
            {
                **of_images(Path("data/3dident")),
                "kitti": Path("data/kitti_peds_v2.pickle"),
                CUSTOM: None,
            },
        ),
    ]
    factors: Annotated[
        str | int | None,
        Option(
            "Data",
            "Images: factors to encode and score, such as x,y,hue [default: all that vary]. "
            "Mixing: number of latents n [default: 10].",
            {**of_images(None), "mixing": 10},
        ),
    ]
    conditional: Annotated[
        str | None,
        Option(
            "Pairs",
            "p(z~ | z) of positives: {names} [default: normal].",
            {"nearest": "normal", "mixing": "normal"},
            contrastive=True,
        ),
    ]
    sigma: Annotated[
        Positive | None,
        Option(
            "Pairs",
            "Scale of the conditional; for vmf 1 / kappa [default: 0.1; mixing 0.05].",
            {"nearest": 0.1, "mixing": 0.05},
            contrastive=True,
        ),
    ]
    pairs: Annotated[
        str | None,
        Option(
            "Pairs",
            "Rule of positives in place of a conditional, such as 'position=keep;hue=marginal;"
            "rest=normal:0.3'.",
            {"nearest": None, "mixing": None},
            contrastive=True,
        ),
    ]
    out: Annotated[Path | None, Option("Run", "Run folder [default: in runs/].")]


def _options() -> Iterator[tuple[str, tuple[Any, Option]]]:
    """The declarations of all options by name, with the types of their fields."""
    for record in (Data, ImageSettings, MixingSettings, MaskSettings, CustomSettings, Config):
        for name, hint in get_type_hints(record, include_extras=True).items():
            for option in getattr(hint, "__metadata__", ()):
                if isinstance(option, Option):
                    yield name, (hint, option)


OPTIONS = dict(_options())


class Options:
    """The options of a run, by the names of :data:`OPTIONS`. None stands for the paper's value.

    Each attribute is the option of ``threedident benchmark`` with the same name.

    Raises:
        TypeError: a name is not the name of an option.
    """

    def __init__(self, **asked: Any) -> None:
        if unknown := asked.keys() - OPTIONS.keys():
            raise TypeError(f"expected options of a run, found {', '.join(sorted(unknown))}")
        defaults = {name: option.default for name, (_, option) in OPTIONS.items()}
        self.__dict__.update(defaults | asked)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no option {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: options are frozen; take replace()")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).items()))

    def __repr__(self) -> str:
        return f"Options({', '.join(self.arguments())})"

    def replace(self, **asked: Any) -> Options:
        """The same options, with new values for those given."""
        return Options(**vars(self) | asked)

    def arguments(self) -> list[str]:
        """The options as command-line arguments, without those that have their default value."""
        found = []
        for name, (_, option) in OPTIONS.items():
            value = getattr(self, name)
            if value == option.default:
                continue
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            found.append(flag(name) if value is True else f"{flag(name)}={text}")
        return found

    def command(self) -> str:
        """The command that starts a run with these options, or resumes it."""
        return shlex.join(["threedident", "benchmark", *self.arguments(), "--resume"])


def flag(name: str) -> str:
    """The name of an option on the command line, such as ``--batch-size``."""
    return f"--{name.replace('_', '-')}"
