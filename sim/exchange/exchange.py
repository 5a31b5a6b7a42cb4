"""The exchange as a whole: books, traders, feed, and the two gateways for orders."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from tickwire.sim.exchange.connection import Server, Timing
from tickwire.sim.exchange.feed import Feed, Send
from tickwire.sim.exchange.market import Listing, Market
from tickwire.sim.exchange.ouch_gateway import OuchGateway
from tickwire.sim.exchange.record import Record
from tickwire.sim.exchange.soup_session import SoupSession
from tickwire.sim.exchange.starbase_gateway import StarbaseGateway
from tickwire.sim.exchange.starbase_session import StarbaseSession
from tickwire.sim.exchange.traders import Traders
from tickwire.sim.traffic_market import make_instruments

__all__ = ["Settings", "Exchange"]

STEPS_PER_S = 62.0                      # of the traders at speed 1: the rate of the real feed


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an exchange is like.

    Parameters
    ----------
    instruments : int
        1 … 128.
    speed : float
        Of the traders and snapshots; 0 lets the books rest.
    snapshot_interval : float
        Seconds from one snapshot of an instrument to the next, at speed 1.
    cancel_on_disconnect : bool
        Of OUCH users; Starbase says it in its messages.

    Raises
    ------
    ValueError
        For a number of instruments or a speed that does not exist.
    """

    host: str = "127.0.0.1"
    ouch_port: int = 0
    starbase_port: int = 0
    passwords: dict[str, str] = field(default_factory=lambda: {"USER1": "PASSWORD"})
    seed: int = 1
    instruments: int = 40
    speed: float = 1.0
    snapshot_interval: float = 5.0
    cancel_on_disconnect: bool = True
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        if not 1 <= self.instruments <= 128:
            raise ValueError(f"Settings instruments must be 1 to 128, not {self.instruments}")
        if not 0 <= self.speed <= 1000:
            raise ValueError(f"Settings speed must be 0 to 1000, not {self.speed}")
        if self.snapshot_interval <= 0:
            raise ValueError("Settings snapshot_interval must be above 0, not "
                             f"{self.snapshot_interval}")


class Exchange:
    """Runs in one asyncio loop, from :meth:`start` to :meth:`stop`.

    Parameters
    ----------
    send : callable
        Takes the feed's datagrams.
    record : text file or None
        Gets every event, one JSON object a line.

    Members
    -------
    ouch_port, starbase_port : int
        What is listened on, once started.
    """

    def __init__(self, settings: Settings, send: Send, record: TextIO | None = None,
                 clock: Callable[[], int] = time.time_ns) -> None:
        self.settings = settings
        self.record = Record(record, clock)
        rng = random.Random(settings.seed)
        self.market = Market([
            Listing(one, f"{one.currency}{one.instrument_id:05}")
            for one in make_instruments(rng, settings.instruments)], self.record)
        self.feed = Feed(send, clock)
        self.traders = Traders(self.market, settings.seed)
        self.traders.fill()
        # The first quotes are in the first snapshots.
        self.market.publishers.append(self.feed)
        self.ouch = OuchGateway(self.market, clock, settings.passwords,
                                cancel_on_disconnect=settings.cancel_on_disconnect)
        self.starbase = StarbaseGateway(self.market, clock, settings.passwords)
        self._servers = (
            Server("ouch", lambda connection: SoupSession(connection, self.ouch, settings.timing),
                   settings.timing, self.record),
            Server("starbase", lambda connection: StarbaseSession(
                connection, self.starbase, settings.timing), settings.timing, self.record))
        self._tasks: list[asyncio.Task[None]] = []
        self.ouch_port = self.starbase_port = 0

    async def start(self) -> None:
        """Listen and let the traders begin. OSError if a port is not to be had."""
        one, other = self._servers
        self.ouch_port = await one.start(self.settings.host, self.settings.ouch_port)
        try:
            self.starbase_port = await other.start(self.settings.host, self.settings.starbase_port)
        except OSError:
            await one.stop()
            raise
        if self.settings.speed:
            self._tasks = [asyncio.create_task(self._trade()),
                           asyncio.create_task(self._snapshots())]

    async def stop(self) -> None:
        """End of the day: OUCH users are told, all connections end, nothing trades any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ouch.end_session()
        for server in self._servers:
            await server.stop()

    async def _trade(self) -> None:
        rng, now = random.Random(self.settings.seed), asyncio.get_running_loop().time
        due = now()
        while True:
            due += rng.expovariate(STEPS_PER_S * self.settings.speed)
            await asyncio.sleep(max(0.0, due - now()))
            self.traders.step()

    async def _snapshots(self) -> None:
        listings = list(self.market.listings.values())
        gap = self.settings.snapshot_interval / len(listings) / self.settings.speed
        while True:
            for listing in listings:
                self.feed.snapshot(listing)
                await asyncio.sleep(gap)
