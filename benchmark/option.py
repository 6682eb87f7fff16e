"""Options: how ``threedident benchmark`` asks for the settings of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IMAGE_PAIRS = ("nearest", "rendered", "augmented")

SOURCES = (*IMAGE_PAIRS, "mixing", "kitti")
CUSTOM = "package.module:Name"  # stands for every source of users


@dataclass(frozen=True)
class Option:
    """Declaration of the option of ``threedident benchmark`` for a setting.

    It annotates the field of the setting.

    Arguments:
        heading: heading of the help that lists the option.
        help: help text; ``{names}`` is replaced by the known names.
        paper: value used if the option is not given: the paper's, or ours where it differs. One
            value for all sources, or a mapping with a value for each source that has the
            setting, in which :data:`CUSTOM` stands for the sources of users. None if the value
            follows from other settings or from the data.
        default: value used if the option is not given, for settings that do not depend on the
            source.
        contrastive: True if only training on pairs has the setting.
        similarity: True if only losses with a similarity have the setting.
    """

    heading: str
    help: str
    paper: Any = None
    default: Any = None
    contrastive: bool = False
    similarity: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that have the setting."""
        return tuple(self.paper) if isinstance(self.paper, dict) else (*SOURCES, CUSTOM)

    def fits(self, source: str) -> bool:
        """True if a source has the setting."""
        return _listed(source) in self.sources

    def paper_value(self, source: str) -> Any:
        """The paper's value for a source."""
        return self.paper.get(_listed(source)) if isinstance(self.paper, dict) else self.paper


def _listed(source: str) -> str:
    return source if source in SOURCES else CUSTOM


def of_images(value: Any) -> dict[str, Any]:
    """A mapping with the same value of the paper for every source of images."""
    return dict.fromkeys(IMAGE_PAIRS, value)
