"""How models count tokens, as far as it was learned. Callers hold the transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.calibration import Calibration
from holychat.store.folding import storable

if TYPE_CHECKING:
    from holychat.domain.calibration import Sample
    from holychat.store.database import Connection


def known(connection: Connection) -> dict[str, Calibration]:
    """All calibrations, by the key of the model."""
    rows = connection.execute("SELECT model, ratio, error, samples FROM calibrations")
    return {model: Calibration(ratio, error, samples) for model, ratio, error, samples in rows}


def learn(connection: Connection, sample: Sample, now_ms: int) -> tuple[str, Calibration]:
    """Learn from one more prompt; the key and the calibration from now on."""
    key = storable(sample.key)
    row = connection.execute("SELECT ratio, error, samples FROM calibrations WHERE model = ?", (key,)).fetchone()
    now = (Calibration() if row is None else Calibration(*row)).learn(sample)
    connection.execute(
        "INSERT OR REPLACE INTO calibrations (model, ratio, error, samples, updated_ms) VALUES (?, ?, ?, ?, ?)",
        (key, now.ratio, now.error, now.samples, now_ms),
    )
    return key, now
