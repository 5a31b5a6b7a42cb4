"""The gateware in an engine with the host package on its registers, for replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from tickwire.host.board import Board
from tickwire.host.gateway import Gateway
from tickwire.host.orders import Connection, OrderTerms
from tickwire.sim.branch import Branch
from tickwire.sim.checks import Levels
from tickwire.sim.models.decisions import Rule
from tickwire.sim.plan import Plan
from tickwire.sim.replay import PassOptions
from tickwire.sim.wire_words import WireFrame

if TYPE_CHECKING:
    from tickwire.host.tables import Instrument

__all__ = ["AnyEngine", "EngineMachine", "MachineError"]

T = TypeVar("T")

SIMULATED_TOP = "tickwire.gateware.gateway:SimulatedGateway"
RECORD_BYTES = 64
RECORDS = 1 << 16
ORDER_ID = 1_000_000        # so much more is an instrument's id in orders than in market data
ENDLESS = 0xFFFF            # a host frame that is sent again and again
CONNECTION = Connection(
    source_mac="02:00:0a:00:00:02", destination_mac="02:00:0a:00:00:03", source_ip="10.0.0.2",
    destination_ip="10.0.0.3", source_port=40_000, destination_port=9_000)
# A host frame: of the local experimental EtherType (IEEE 802, 9.2.4), as long as is legal.
HOST_FRAME = bytes.fromhex("02000a000003 02000a000002 88b5") + bytes(1500)


class MachineError(ValueError):
    """A machine cannot be made as asked; one line that says why."""


class AnyEngine(Board, Protocol):
    """A simulated gateware, out of reset, which is the host's board too.

    :class:`tickwire.sim.engine.Engine` or :class:`tickwire.sim.cocotb_engine.CocotbEngine`; what
    the methods do is said there and in :class:`tickwire.sim.replay.Machine`.
    """

    @property
    def name(self) -> str: ...
    @property
    def cycles(self) -> int: ...
    @property
    def events(self) -> int: ...
    def run(self, data: NDArray[np.uint64], control: NDArray[np.uint8],
            skips: NDArray[np.uint64]) -> None: ...
    def idle(self, cycles: int) -> None: ...
    def take_frames(self) -> list[WireFrame]: ...
    def branch(self, action: Callable[[], T]) -> Branch[T]: ...


class EngineMachine:
    """A :class:`tickwire.sim.replay.Machine` in this process.

    Parameters
    ----------
    engine : AnyEngine
        It ends with :meth:`close`.
    """

    def __init__(self, engine: AnyEngine) -> None:
        self._engine = engine
        self._gateway = Gateway(engine)
        self._instruments: dict[int, Instrument] = {}
        self._taken = 0             # event records that were read
        self._released = 0          # … and of which the gateware knows

    @property
    def engine(self) -> str:
        return self._engine.name

    @property
    def cycles(self) -> int:
        return self._engine.cycles

    def configure(self, plan: Plan, rules: Sequence[Rule], options: PassOptions) -> None:
        gw = self._gateway
        gw.policy = options.policy
        gw.publish(book=True, ticker=True)
        for one in plan.subscriptions:
            gw.subscribe(one.group, one.port, one.channel)
        for instrument in plan.instruments:
            self._instruments[instrument.index] = gw.add_instrument(
                str(instrument.instrument_id), id=instrument.instrument_id,
                channel=instrument.channel, order_id=instrument.instrument_id + ORDER_ID,
                index=instrument.index)
        gw.templates.load(CONNECTION, OrderTerms())
        gw.session.load(sequence=1_000, peer_window=1 << 30, acknowledgement=1, window=0xFFFF,
                        venue_sequence=1)
        # Limits so wide that the decision list has no need of them.
        gw.risk.rate(orders_per_second=gw.config.core_hz, burst=0xFFFF)
        for rule in rules:
            known = self._instruments[plan.index_of[rule.instrument_id]]
            gw.risk.set(known, maximum_quantity=rule.quantity, lowest_price=-10**9,
                        highest_price=10**9)
            gw.strategy.threshold(known, buy_at=rule.buy_limit, sell_at=rule.sell_limit,
                                  quantity=rule.quantity, trigger=rule.trigger,
                                  one_shot=rule.one_shot, minimum_gap=rule.gap_ms)
        gw.arm()
        if options.loaded:
            gw.send_frame(HOST_FRAME, repeat=ENDLESS)

    def run(self, data: NDArray[np.uint64], control: NDArray[np.uint8],
            skips: NDArray[np.uint64]) -> None:
        self._engine.run(data, control, skips)

    def idle(self, cycles: int) -> None:
        self._engine.idle(cycles)

    def take_frames(self) -> list[WireFrame]:
        return self._engine.take_frames()

    def branch(self, action: Callable[[], T]) -> Branch[T]:
        return self._engine.branch(action)

    def take_records(self) -> NDArray[np.uint8]:
        """As the protocol says; only a ring that is three quarters full costs an access."""
        rows = self._engine.ring.reshape(-1, RECORD_BYTES)
        produced = self._engine.events
        if produced - self._taken > len(rows):
            raise MachineError(f"{produced - self._taken} event records came at once, but the ring "
                               f"holds {len(rows)}: run fewer words at a time")
        found = rows[np.arange(self._taken, produced) % len(rows)].reshape(-1)
        self._taken = produced
        if produced - self._released > len(rows) * 3 // 4:
            self._gateway.registers.write("EVENTS_CONSUMED", produced & 0xFFFFFFFF)
            self._released = produced
        return found

    def levels(self, index: int) -> Levels | None:
        book = self._gateway.books[self._instruments[index]]
        if not book.tradable:
            return None
        asks, bids = ([(float(level.price), float(level.amount)) for level in side]
                      for side in (book.asks, book.bids))
        return asks, bids

    def stale(self) -> list[int]:
        return [index for index, one in self._instruments.items()
                if not self._gateway.books[one].tradable]

    def counters(self) -> Mapping[str, int]:
        return {name.upper(): value for name, value in self._gateway.stats().items()}

    def venue_instruments(self) -> Mapping[int, int]:
        return {one.id: one.order_id for one in self._instruments.values()}

    def close(self) -> None:
        self._gateway.close()
