"""An exchange in a thread of its own, on loopback, and what tests ask of it."""

import asyncio
import io
import json
import threading
import time
from contextlib import contextmanager

from tickwire.sim.exchange.clients import OuchClient, StarbaseClient
from tickwire.sim.exchange.connection import Timing
from tickwire.sim.exchange.exchange import Exchange, Settings
from tickwire.sim.exchange.order_book import Side
from tickwire.sim.models.deribit import parse_datagram
from tickwire.sim.models.deribit_books import Books

USER, PASSWORD = "USER1", "PASSWORD"
PASSWORDS = {USER: PASSWORD, "USER2": "SECRET"}


class RunningExchange:
    """Members: exchange, datagrams (payload, whether it is of the snapshots)."""

    def __init__(self, *, clock=time.time_ns, **settings):
        self.datagrams = []
        self.text = io.StringIO()
        settings = {"passwords": PASSWORDS, "instruments": 8, "speed": 0, **settings}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.exchange = self.do(lambda: Exchange(
            Settings(**settings), lambda *one: self.datagrams.append(one), self.text, clock))
        self.run(self.exchange.start())
        self._stopped = False
        self._clients = []

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def do(self, function):
        """Call something where nothing else happens meanwhile."""
        async def call():
            return function()
        return self.run(call())

    def until(self, condition):
        """Wait until something is so."""
        async def wait():
            while not condition():
                await asyncio.sleep(0.005)
        self.run(asyncio.wait_for(wait(), 20))

    def stop(self):
        if not self._stopped:
            self._stopped = True
            self.run(self.exchange.stop())

    def close(self):
        for client in self._clients:
            client.close()
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def record(self, event=None):
        lines = [json.loads(line) for line in self.text.getvalue().splitlines()]
        return [line for line in lines if event in (None, line["event"])]

    def ouch(self, *, login=True, user=USER, **given):
        client = OuchClient(("127.0.0.1", self.exchange.ouch_port))
        self._clients.append(client)
        if login:
            assert client.login(user, PASSWORDS[user], **given).type == "A"
        return client

    def starbase(self, *, logon=True, user=USER, version=16, **given):
        client = StarbaseClient(("127.0.0.1", self.exchange.starbase_port), version=version)
        self._clients.append(client)
        if logon:
            assert type(client.logon(user, PASSWORDS[user], **given)).__name__ == "LogonConf"
        return client

    def listing(self, number=0):
        return list(self.exchange.market.listings.values())[number]

    def touch(self, side, number=0):
        """Best price in ticks and its lots."""
        book = self.listing(number).book
        return self.do(lambda: (book.best(side), book.total(side, book.best(side))))

    def snapshots(self):
        """Publish a snapshot of every instrument."""
        self.do(lambda: [self.exchange.feed.snapshot(one)
                         for one in self.exchange.market.listings.values()])

    def golden(self):
        """The golden books made from all that was published."""
        books = Books()
        for number, (payload, snapshot) in enumerate(self.do(lambda: list(self.datagrams))):
            datagram = parse_datagram(payload)
            assert (datagram.channel >= 100) == snapshot
            books.datagram(number, datagram, ("", snapshot))
        return books

    def levels(self, listing):
        """What the core has, as the golden books write it: asks, then bids."""
        one = listing.instrument
        return [{one.price(ticks): one.amount(lots) for ticks, lots in listing.book.levels(side)}
                for side in (Side.ASK, Side.BID)]


@contextmanager
def exchange(**settings):
    running = RunningExchange(**settings)
    try:
        yield running
    finally:
        running.close()


def quick(heartbeat=0.05, patience=0.3):
    return Timing(heartbeat, patience)
