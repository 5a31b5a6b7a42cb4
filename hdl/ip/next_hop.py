"""To which MAC address a datagram goes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.settings import EdgeSettings
from tickwire.hdl.wire.ethernet import MULTICAST_PREFIX

__all__ = ["NextHop", "group_mac"]

_BROADCAST = 0xFFFFFFFF
_MULTICAST = 0xE            # first four bits of a group's address


def group_mac(group):
    """MAC address of an IPv4 multicast group, as a number (RFC 1112, 6.4)."""
    return Cat(group[:23], Const(MULTICAST_PREFIX << 1, 25))


class _State(enum.Enum, shape=3):
    IDLE = 0
    DECIDE = 1
    LOOK_UP = 2
    ASK = 3         # an ARP request is to be sent
    WAIT = 4        # for the reply
    DONE = 5


class NextHop(wiring.Component):
    """Decides by mask and gateway (RFC 1122, 3.3.1.1) and resolves the address by ARP.

    An address that the cache does not have is asked for up to ``tries`` times, a tick apart
    (RFC 1122, 2.3.2.1: once a second). Multicast and broadcast need no resolution.

    Latency: ``i_start`` → ``o_done`` 3 cycles without resolution; else that of the cache's look-up
    more.

    Parameters
    ----------
    tries : int
        1 to 7.

    Members
    -------
    i_start : In, 1 bit
        Resolve ``i_address``, which must stand until ``o_done``. Not again before that.
    i_address : In, 32 bits
    i_settings : In, EdgeSettings
    i_tick : In, 1 bit
    i_learned : In, 1 bit
        The cache has learned something.
    o_look_up, o_hop : Out, 1 and 32 bits
        To the cache.
    i_found, i_missing, i_mac : In, 1, 1 and 48 bits
        Its answer.
    o_ask : Out, 1 bit
        A request for ``o_hop`` is to be sent; stands until ``i_asked``.
    i_asked : In, 1 bit
    o_done : Out, 1 bit
        For one cycle, with ``o_mac``, or with ``o_failed``: no gateway, or no reply.
    o_failed : Out, 1 bit
    o_mac : Out, 48 bits
        Stands until the next ``i_start``.

    Raises
    ------
    ValueError
        If ``tries`` is not supported.
    """

    def __init__(self, tries=3):
        if not 1 <= tries <= 7:
            raise ValueError(f"NextHop tries must be 1 to 7, not {tries!r}")
        self._tries = tries
        super().__init__({
            "i_start": In(1),
            "i_address": In(32),
            "i_settings": In(EdgeSettings),
            "i_tick": In(1),
            "i_learned": In(1),
            "o_look_up": Out(1),
            "o_hop": Out(32),
            "i_found": In(1),
            "i_missing": In(1),
            "i_mac": In(48),
            "o_ask": Out(1),
            "i_asked": In(1),
            "o_done": Out(1),
            "o_failed": Out(1),
            "o_mac": Out(48),
        })

    def elaborate(self, platform):
        m = Module()
        settings, address = self.i_settings, self.i_address
        state = Signal(_State)
        asked = Signal(range(self._tries + 1))
        local = ((address ^ settings.address) & settings.netmask) == 0
        to_all = (address | settings.netmask) == _BROADCAST
        multicast, broadcast, on_link = Signal(), Signal(), Signal()

        m.d.comb += [
            self.o_look_up.eq(state == _State.LOOK_UP),
            self.o_ask.eq(state == _State.ASK),
            self.o_done.eq(state == _State.DONE),
        ]
        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += [
                    asked.eq(0),
                    self.o_failed.eq(0),
                    multicast.eq(address[28:] == _MULTICAST),
                    broadcast.eq(local & to_all | (address == _BROADCAST)),
                    on_link.eq(local),
                ]
                with m.If(self.i_start):
                    m.d.sync += state.eq(_State.DECIDE)
            with m.Case(_State.DECIDE):
                m.d.sync += [
                    self.o_hop.eq(Mux(on_link, address, settings.gateway)),
                    state.eq(_State.LOOK_UP),
                ]
                with m.If(multicast | broadcast):
                    m.d.sync += [
                        self.o_mac.eq(Mux(broadcast, (1 << 48) - 1, group_mac(address))),
                        state.eq(_State.DONE),
                    ]
                with m.Elif(~on_link & (settings.gateway == 0)):
                    m.d.sync += [self.o_failed.eq(1), state.eq(_State.DONE)]
            with m.Case(_State.LOOK_UP):
                with m.If(self.i_found):
                    m.d.sync += [self.o_mac.eq(self.i_mac), state.eq(_State.DONE)]
                with m.Elif(self.i_missing):
                    m.d.sync += state.eq(Mux(asked == 0, _State.ASK, _State.WAIT))
            with m.Case(_State.ASK), m.If(self.i_asked):
                m.d.sync += [asked.eq(asked + 1), state.eq(_State.WAIT)]
            with m.Case(_State.WAIT):
                with m.If(self.i_learned):
                    m.d.sync += state.eq(_State.LOOK_UP)
                with m.Elif(self.i_tick):
                    m.d.sync += state.eq(Mux(asked == self._tries, _State.DONE, _State.ASK))
                    m.d.sync += self.o_failed.eq(asked == self._tries)
            with m.Case(_State.DONE):
                m.d.sync += state.eq(_State.IDLE)
        return m
