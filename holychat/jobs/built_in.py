"""Templates that come with holychat."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING

from holychat.domain.jobs import Recipe, Template
from holychat.typed import convert

if TYPE_CHECKING:
    from collections.abc import Iterable


def built_in_templates() -> tuple[Template, ...]:
    """All of them, in the order in which they are shown. Reads a file of the package."""
    table = tomllib.loads(files("holychat.jobs").joinpath("templates.toml").read_text(encoding="utf-8"))
    return tuple(
        Template(entry.pop("name"), convert(_stripped(entry), Recipe), built_in=True) for entry in table["template"]
    )


def with_built_in(saved: Iterable[Template]) -> list[Template]:
    """A person's own templates, then those that come with holychat and have no namesake among them."""
    own = list(saved)
    names = {template.name.casefold() for template in own}
    return own + [template for template in built_in_templates() if template.name.casefold() not in names]


def _stripped(entry: dict[str, object]) -> dict[str, object]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in entry.items()}
