"""What the strategy may look for, and what the risk gate lets pass."""

from __future__ import annotations

import math
from decimal import Decimal

from tickwire.gateware.config import GatewayConfig
from tickwire.host.errors import RegisterError
from tickwire.host.orders import Templates
from tickwire.host.price import Exact, to_key
from tickwire.host.registers import Registers
from tickwire.host.tables import Instrument

__all__ = ["Strategies", "Risk"]


class Strategies:
    """Parameters of the built-in strategies; each call changes one instrument at once."""

    def __init__(self, registers: Registers, templates: Templates) -> None:
        self._registers, self._templates = registers, templates

    def threshold(self, instrument: Instrument, *, buy_at: Exact | None = None,
                  sell_at: Exact | None = None, quantity: int | Decimal, trigger: str = "book",
                  one_shot: bool = False, minimum_gap: int = 0) -> None:
        """Take the offer at ``buy_at`` or below, hit the bid at ``sell_at`` or above.

        Parameters
        ----------
        trigger : "book" or "ticker"
            Decide on the touch after a book update, or on the ticker message itself.
        one_shot : bool
            Act once, until this is called again.
        minimum_gap : int
            Least time between two orders, in the venue's unit (Deribit: ms).
        """
        if trigger not in ("book", "ticker"):
            raise RegisterError(f"THRESHOLD.TRIGGER takes 'book' or 'ticker', not {trigger!r}")
        self._registers.write_row(
            "THRESHOLD", instrument.index, enabled=1, buy=buy_at is not None,
            sell=sell_at is not None, trigger=trigger == "ticker", one_shot=one_shot,
            buy_limit=0 if buy_at is None else to_key(buy_at),
            sell_limit=0 if sell_at is None else to_key(sell_at),
            quantity=self._templates.mantissa(quantity), minimum_gap=minimum_gap)

    def off(self, instrument: Instrument) -> None:
        """The strategy does nothing in this instrument any more."""
        self._registers.write_row("THRESHOLD", instrument.index)


class Risk:
    """Limits that every order must keep, whoever wrote it."""

    def __init__(self, registers: Registers, config: GatewayConfig, templates: Templates) -> None:
        self._registers, self._config, self._templates = registers, config, templates

    def set(self, instrument: Instrument, *, maximum_quantity: int | Decimal,
            lowest_price: Exact, highest_price: Exact,
            minimum_quantity: int | Decimal = 0) -> None:
        """Enable an instrument within these limits, all of them inclusive."""
        low, high = to_key(lowest_price), to_key(highest_price)
        least = self._templates.mantissa(minimum_quantity)
        most = self._templates.mantissa(maximum_quantity)
        if low > high:
            raise RegisterError(f"RISK.LOWEST_PRICE ({lowest_price}) must not be above "
                                f"RISK.HIGHEST_PRICE ({highest_price}): no order could pass")
        if least > most:
            raise RegisterError(f"RISK.MINIMUM_QUANTITY ({minimum_quantity}) must not be above "
                                f"RISK.MAXIMUM_QUANTITY ({maximum_quantity}): no order could pass")
        self._registers.write_row(
            "RISK", instrument.index, enabled=1, minimum_quantity=least, maximum_quantity=most,
            lowest_price=low, highest_price=high)

    def restrict(self, instrument: Instrument) -> None:
        """Let no new order of this instrument pass."""
        self._registers.write_row("RISK", instrument.index)

    def rate(self, *, orders_per_second: float, burst: int, cancels: bool = False) -> None:
        """Set the budget of new orders (or of cancels), and fill it.

        At most ``burst`` at once, and ``orders_per_second`` in the long run; 0 of the latter lets
        ``burst`` orders pass and then no more.
        """
        if orders_per_second < 0 or not math.isfinite(orders_per_second):
            raise RegisterError("RATE.PERIOD needs a number of orders per second that is not "
                                f"negative, not {orders_per_second}")
        # Rounded up: never more orders than asked for.
        period = math.ceil(self._config.core_hz / orders_per_second) if orders_per_second else 0
        self._registers.write_row("RATE", int(cancels), period=period, burst=burst)
