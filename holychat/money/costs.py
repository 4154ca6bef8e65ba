"""What things cost, what was spent and what may still be spent: the one door of the screen, the shell and the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.catalog.calibration import TokenEstimator
from holychat.catalog.prices import PriceBook
from holychat.money.accounting import Accounting

if TYPE_CHECKING:
    from holychat.settings import Settings
    from holychat.store.database import Database


class Costs:
    """One per process.

    Attributes:
        prices: Prices and context windows in force.
        tokens: Token estimates, calibrated by what providers reported.
        accounting: Settles requests with both.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._limits = settings.limits
        self.prices = PriceBook(settings.prices)
        self.tokens = TokenEstimator()
        self.accounting = Accounting(self.prices, self.tokens)
