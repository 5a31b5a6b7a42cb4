"""cocotb half of test_mac_cocotb.py: frames from XgmiiSource, frames into XgmiiSink."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.eth import XgmiiFrame, XgmiiSink, XgmiiSource
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.stream.packet import Packet
from tickwire.sim.cocotb_runner import pack, unpack
from xgmii_bench import find_frames, gaps

ERROR = 0xfe


def udp(rng, length, tags=0):
    """A frame of ``length`` bytes without FCS and without its tags."""
    header = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for tag in range(tags):
        header /= Dot1Q(vlan=tag + 5)
    payload = rng.randbytes(max(0, length - 42))
    return bytes(header / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / payload)


class Receiver:
    """Collects what comes out of the receiver."""

    def __init__(self, dut):
        self.dut = dut
        self.frames, self.ends, self.overflows = [], [], 0
        cocotb.start_soon(self.watch())

    async def watch(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            await ReadOnly()
            self.overflows += int(dut.overflow.value)
            if int(dut.received__valid.value):
                beat = unpack(Packet(8), int(dut.received__payload.value))
                if beat["first"]:
                    self.frames.append(bytearray())
                self.frames[-1] += beat["data"].to_bytes(8, "little")[beat["begin"]:beat["end"]]
            if int(dut.received_end__valid.value):
                self.ends.append(unpack(FrameEnd, int(dut.received_end__payload.value)))


async def start(dut, period=6400, max_length=1518):
    dut.send__valid.value = 0
    dut.max_length.value = max_length
    dut.xgmii_rx_valid.value = 1
    source = XgmiiSource(dut.xgmii_rx_data, dut.xgmii_rx_control, dut.rx_clk,
                         enable=dut.xgmii_rx_valid)
    cocotb.start_soon(Clock(dut.clk, 6400, unit="ps").start())
    cocotb.start_soon(Clock(dut.rx_clk, period, unit="ps").start())
    dut.rst.value = dut.rx_rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = dut.rx_rst.value = 0
    await ClockCycles(dut.clk, 4)
    return source, Receiver(dut)


async def drain(dut, source, receiver, count, wait=500):
    for _ in range(wait):
        await ClockCycles(dut.clk, 10)
        if len(receiver.ends) == count and source.empty():
            break
    await ClockCycles(dut.clk, 20)


@cocotb.test()
@cocotb.parametrize(period=[6400, 6398, 6402])
async def every_length_gap_and_lane_is_received(dut, period):
    rng = random.Random(period)
    source, receiver = await start(dut, period, max_length=9216)
    sent = []
    for gap in range(5, 17):
        source.ifg = gap
        for dic, offset in ((True, False), (False, False), (False, True)):
            source.enable_dic, source.force_offset_start = dic, offset
            lengths = [rng.randrange(60, 128) for _ in range(4)]
            if period == 6400:
                lengths += range(60, 128)
                if gap == 12:
                    lengths += [512, 1514, 1518, 9212]      # 9,216 with FCS
            for length in lengths:
                sent.append(udp(rng, length))
                await source.send(XgmiiFrame.from_payload(sent[-1]))
            await source.wait()
    await drain(dut, source, receiver, len(sent))
    assert [bytes(frame[:-4]) for frame in receiver.frames] == sent
    assert all(end["good"] for end in receiver.ends) and len(receiver.ends) == len(sent)
    assert receiver.overflows == 0


@cocotb.test()
async def word_gaps_at_the_input_are_received(dut):
    rng = random.Random(2)
    source, receiver = await start(dut)

    async def pause():
        while True:
            await RisingEdge(dut.rx_clk)
            dut.xgmii_rx_valid.value = rng.random() < 0.8

    pausing = cocotb.start_soon(pause())
    sent = [udp(rng, length) for length in range(60, 100)]
    for frame in sent:
        await source.send(XgmiiFrame.from_payload(frame))
    await drain(dut, source, receiver, len(sent))
    pausing.cancel()
    assert [bytes(frame[:-4]) for frame in receiver.frames] == sent
    assert all(end["good"] for end in receiver.ends)


@cocotb.test()
async def small_frames_at_line_rate_are_all_received(dut):
    rng = random.Random(6)
    source, receiver = await start(dut)
    some = [udp(rng, 60) for _ in range(16)]
    sent = [rng.choice(some) for _ in range(1000)]
    for frame in sent:
        source.send_nowait(XgmiiFrame.from_payload(frame))
    await drain(dut, source, receiver, len(sent), wait=1500)
    assert [bytes(frame[:-4]) for frame in receiver.frames] == sent
    assert all(end["good"] for end in receiver.ends) and receiver.overflows == 0


@cocotb.test()
async def an_error_in_the_preamble_is_no_frame_and_spoils_none(dut):
    """At each of its places, from both lanes; the source's gap is as short as it may be."""
    rng = random.Random(5)
    source, receiver = await start(dut)
    source.ifg, source.enable_dic = 5, False
    sent = []
    for offset in (False, True):
        source.force_offset_start = offset
        for place in range(1, 8):
            for value, control in ((ERROR, 1), (0x55 ^ 0x80, 0)):
                if (place, value) == (7, 0xd5):
                    value = 0x55        # the start frame delimiter itself
                broken = XgmiiFrame.from_payload(udp(rng, rng.randrange(60, 100)))
                broken.data[place] = value
                broken.ctrl = [int(at == place and control) for at in range(len(broken.data))]
                await source.send(broken)
                sent.append(udp(rng, rng.randrange(60, 100)))
                await source.send(XgmiiFrame.from_payload(sent[-1]))
                await source.wait()
    await drain(dut, source, receiver, len(sent))
    assert [bytes(frame[:-4]) for frame in receiver.frames] == sent
    assert all(end["good"] for end in receiver.ends)


@cocotb.test()
async def bad_frames_are_told_apart(dut):
    rng = random.Random(3)
    source, receiver = await start(dut)
    expected = []
    for _ in range(60):
        kind = rng.choice(["good", "fcs_error", "symbol_error", "runt", "oversize", "tagged"])
        length = {"runt": rng.randrange(42, 60), "oversize": rng.randrange(1515, 1540),
                  "tagged": 1514}.get(kind, rng.randrange(60, 200))
        tags = rng.randrange(1, 3) if kind == "tagged" else 0
        frame = XgmiiFrame.from_payload(udp(rng, length, tags), min_len=0)
        if kind == "fcs_error":
            frame.data[rng.randrange(8, len(frame.data))] ^= 1 << rng.randrange(8)
        if kind == "symbol_error":
            place = rng.randrange(9, len(frame.data))
            frame.data[place] = ERROR
            frame.ctrl = [int(at == place) for at in range(len(frame.data))]
        await source.send(frame)
        expected.append("good" if kind == "tagged" else kind)
    await drain(dut, source, receiver, len(expected))
    found = [next(name for name, value in end.items() if value and name != "length")
             for end in receiver.ends]
    assert found == expected


@cocotb.test()
async def frames_are_sent_as_the_standard_wants(dut):
    rng = random.Random(4)
    await start(dut)
    sink = XgmiiSink(dut.xgmii_tx_data, dut.xgmii_tx_control, dut.clk)
    sent = [rng.randbytes(length) for length in [*range(14, 128), 512, 1514]]
    sent += [rng.randbytes(rng.randrange(60, 70)) for _ in range(150)]
    words = []

    async def monitor():
        while True:
            await RisingEdge(dut.clk)
            await ReadOnly()
            words.append((int(dut.xgmii_tx_data.value), int(dut.xgmii_tx_control.value)))

    watching = cocotb.start_soon(monitor())
    for octets in sent:
        for at in range(0, len(octets), 8):
            part = octets[at:at + 8]
            dut.send__payload.value = pack(
                Packet(8), data=int.from_bytes(part, "little"), end=len(part), first=at == 0,
                last=at + 8 >= len(octets))
            dut.send__valid.value = 1
            while True:
                await ReadOnly()
                taken = int(dut.send__ready.value)
                await RisingEdge(dut.clk)
                if taken:
                    break
    dut.send__valid.value = 0
    await ClockCycles(dut.clk, 10)
    watching.cancel()
    lanes = set()
    for octets in sent:
        frame = sink.recv_nowait()
        assert frame.check_fcs() and frame.get_preamble() == bytes([*[0x55] * 7, 0xd5])
        assert frame.get_payload() == octets + bytes(max(0, 60 - len(octets)))
        lanes.add(frame.start_lane)
    assert lanes == {0, 4} and sink.empty()
    found = gaps(find_frames(words))
    assert min(found) == 9 and max(found) <= 15
    assert abs(sum(found) / len(found) - 12) < 0.05
