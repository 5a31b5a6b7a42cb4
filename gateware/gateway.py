"""The whole gateway: data path, registers, and the ports of a board or a simulated card."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from tickwire.hdl.csr.bank import RegisterBank
from tickwire.hdl.csr.bus import CsrBus
from tickwire.hdl.csr.event import EventWord
from tickwire.hdl.csr.frame import FrameWord
from tickwire.hdl.phy.xgmii import XgmiiWord
from tickwire.hdl.stream.packet import strobe

from .config import GatewayConfig
from .control import Control
from .data_path import DataPath, forward
from .registers import REGISTERS

__all__ = ["Gateway", "SimulatedGateway"]


class Gateway(wiring.Component):
    """Market data and orders on XGMII, a register bus and an event stream for the host.

    Domain ``sync`` is the transmit reference and never stops; ``rx`` is the receive clock, which
    may. Latency: docs/latency.md, asserted in tests/gateware.

    Parameters
    ----------
    config : GatewayConfig

    Members
    -------
    rx : In(strobe(XgmiiWord)), domain ``rx``
    tx : Out(XgmiiWord)
    csr : In(CsrBus())
        BAR 0.
    o_event : Out(strobe(EventWord))
        Records for the ring in the host's memory.
    o_frame : Out(strobe(FrameWord))
        Received frames for another ring there.
    kill : In(1)
        Kill switch, asynchronous.
    i_skip : In(64)
        Cycles that the clocks leap over, for simulations that leave idle time out. Without
        ``config.skips`` it is not looked at.
    pps : In(1)
        Pulse per second, asynchronous: only with ``config.pps``.
    """

    def __init__(self, config=None):
        self.config = config or GatewayConfig()
        super().__init__({
            "rx": In(strobe(XgmiiWord)),
            "tx": Out(XgmiiWord),
            "csr": In(CsrBus()),
            "o_event": Out(strobe(EventWord)),
            "o_frame": Out(strobe(FrameWord)),
            "kill": In(1),
            "i_skip": In(64),
            **({"pps": In(1)} if self.config.pps else {}),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.path = path = DataPath(self.config)
        m.submodules.bank = bank = RegisterBank(REGISTERS, self.config)
        m.submodules.control = Control(path, bank)
        connect(m, flipped(self.csr), bank.bus)
        forward(m, self.rx, path.crossing.i)
        forward(m, self.rx, path.link_fault.i)
        forward(m, path.event_log.o, self.o_event)
        forward(m, path.host_receive.o, self.o_frame)
        m.d.comb += [
            self.tx.eq(path.mac_transmit.o),
            path.arming.i_kill_pin.eq(self.kill),
        ]
        if self.config.pps:
            m.d.comb += path.pulse_stamp.i.eq(self.pps)
        if self.config.skips:
            m.d.comb += [room.i_skip.eq(self.i_skip)
                         for room in (path.counter, path.clock, path.edge,
                                      path.tcp_ticks)]
        return m


class SimulatedGateway(Gateway):
    """The default gateway, but its clocks can leap over idle time.

    Latency: that of :class:`Gateway`.
    """

    def __init__(self):
        super().__init__(GatewayConfig(skips=True))
