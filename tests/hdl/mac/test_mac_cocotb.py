"""Receiver behind its crossing, and transmitter, between somebody else's XGMII source and sink."""

from pathlib import Path

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.stream.crossing import ElasticCrossing
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.sim import cocotb_runner


class MacPair(wiring.Component):
    """``xgmii_rx_*`` in domain rx → crossing → receiver; transmitter → ``xgmii_tx_*``."""

    rx_clk: In(1)
    rx_rst: In(1)
    xgmii_rx_data: In(64)
    xgmii_rx_control: In(8)
    xgmii_rx_valid: In(1)
    max_length: In(14)
    received: Out(strobe(Packet(8)))
    received_end: Out(strobe(FrameEnd))
    overflow: Out(1)
    send: In(packet_stream(8))
    xgmii_tx_data: Out(64)
    xgmii_tx_control: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.domains.rx = rx = ClockDomain()
        m.submodules.crossing = crossing = ElasticCrossing()
        m.submodules.receive = receive = MacReceive()
        m.submodules.transmit = transmit = MacTransmit()
        wiring.connect(m, crossing.o, receive.i)
        wiring.connect(m, wiring.flipped(self.send), transmit.i)
        wiring.connect(m, receive.o, wiring.flipped(self.received))
        wiring.connect(m, receive.o_end, wiring.flipped(self.received_end))
        m.d.comb += [
            transmit.i_goes_on.eq(transmit.i.valid),
            rx.clk.eq(self.rx_clk),
            rx.rst.eq(self.rx_rst),
            crossing.i.valid.eq(self.xgmii_rx_valid),
            crossing.i.payload.data.eq(self.xgmii_rx_data),
            crossing.i.payload.control.eq(self.xgmii_rx_control),
            receive.max_length.eq(self.max_length),
            self.overflow.eq(crossing.o_count_overflow),
            self.xgmii_tx_data.eq(transmit.o.data),
            self.xgmii_tx_control.eq(transmit.o.control),
        ]
        return m


def test_mac_between_source_and_sink():
    cocotb_runner.run(MacPair(), Path(__file__).parent / "cocotb_mac.py", name="mac")
