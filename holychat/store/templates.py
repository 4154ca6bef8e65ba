"""Templates: recipes that a person has named. Every function runs inside a transaction of its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.jobs import Template
from holychat.errors import UsageError
from holychat.store.folding import storable
from holychat.store.job_rows import json_column, recipe_of
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.store.database import Connection


def everything(connection: Connection) -> list[Template]:
    """All templates by name."""
    rows = connection.execute("SELECT name, recipe, provider, model FROM templates ORDER BY name COLLATE NOCASE, name")
    return [Template(name, recipe_of(recipe), provider, model) for name, recipe, provider, model in rows]


def save(connection: Connection, template: Template, now_ms: int) -> None:
    """Keep a template, in place of one with the same name."""
    connection.execute(
        """
        INSERT INTO templates (name, recipe, provider, model, updated_ms) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET recipe = excluded.recipe, provider = excluded.provider, model = excluded.model,
            updated_ms = excluded.updated_ms
        """,
        (
            storable(template.name), json_column(template.recipe), template.provider,
            storable(template.model), now_ms,
        ),
    )  # fmt: skip


def delete(connection: Connection, name: str) -> None:
    """Delete a template.

    Raises:
        UsageError: There is none of that name.
    """
    connection.execute("DELETE FROM templates WHERE name = ?", (storable(name),))
    if not connection.changes():
        raise UsageError(
            f"You saved no template called {clean_line(name, 80)!r}",
            "`holychat batch templates` lists them; those that come with holychat stay.",
        )
