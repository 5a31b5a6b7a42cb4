"""``make bench``: the cycles of docs/latency.md, measured; the page is written from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.sim import Simulator
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.host.gateway import Gateway
from tickwire.sim.bench_latency_page import PAGE
from tickwire.sim.engine import Engine
from tickwire.sim.rewrite import internet_checksum
from tickwire.sim.wire_words import WordChunk, WordReader, frames_to_words

__all__ = ["LANES", "answers", "order_rows", "page", "rooms"]

LANES = (0, 4)              # in which START may stand
OWN_MAC, PEER_MAC = bytes.fromhex("02000a000002"), bytes.fromhex("02000a000009")
OWN_IP, PEER_IP = bytes((192, 168, 77, 2)), bytes((192, 168, 77, 9))
LONGEST = 1514              # bytes without FCS
_REST = 1500                # cycles after which everything is at rest
_TAIL = 64


def rooms() -> dict[str, tuple[int, ...]]:
    """Cycles of the MAC's two halves, from one register to the other; START in lane 0, lane 4."""
    received = [_receive(lane) for lane in LANES]
    return {"receive_beat": tuple(one[0] for one in received),
            "receive_end": tuple(one[1] for one in received),
            "transmit_start": (_transmit(),)}


def answers(engine: Engine) -> list[tuple[str, int, tuple[int, ...]]]:
    """What hardware answers, from the word with TERMINATE to the word with START of the answer;
    and a frame for the host, to its slot in the ring.

    Parameters
    ----------
    engine : Engine
        A fresh :class:`~tickwire.gateware.gateway.SimulatedGateway`.

    Returns
    -------
    list of (what, bytes without FCS, cycles)
        Cycles for START in lane 0 and in lane 4.
    """
    gw = Gateway(engine)
    gw.network.station = OWN_MAC.hex(":")
    gw.network.set_address("192.168.77.2/24")
    gw.network.receive()
    gw.frames.poll()        # from the first look on frames are stored
    engine.idle(_REST)
    engine.take_tx()
    found = []
    for what, request in (("ARP", _who_has()), ("ICMP echo", _ping(18)), ("ICMP echo", _ping(56)),
                          ("ICMP echo", _ping(LONGEST - 42))):
        found.append((what, len(request), tuple(_answer(engine, request, lane) for lane in LANES)))
    for length in (60, LONGEST):
        frame = OWN_MAC + PEER_MAC + b"\x88\xb5" + bytes(length - 14)
        cycles = []
        for lane in LANES:
            end = _play(engine, frame, lane)
            (slot,) = gw.frames.poll()
            cycles.append(slot.cycle - end)
        found.append(("none: a frame for the host, to its slot in the ring", length,
                      tuple(cycles)))
    return found


def order_rows(summary: Mapping[str, Any]) -> list[str]:
    """Rows of the table of orders, out of a replay's summary.json."""
    cases: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    loaded: list[Mapping[str, Any]] = []
    for case in summary["latency"]["cases"]:
        if case["loaded"]:
            loaded.append(case)
        else:
            cases.setdefault((case["policy"], case["trigger"]), []).append(case)
    rows = [_order_row(f"`{policy}`, {trigger}", "lane 0 / lane 4", group,
                       " / ".join(str(one["count"]) for one in group))
            for (policy, trigger), group in sorted(cases.items(), reverse=True)]
    if loaded:
        rows.append(_order_row("while the host sends frames of 1,514 bytes as fast as possible: "
                               "any", "either", loaded, str(sum(c["count"] for c in loaded))))
    return rows


def page(*, measured: Mapping[str, Sequence[int]],
         answered: Sequence[tuple[str, int, Sequence[int]]], orders: Sequence[str],
         capture: str) -> str:
    """The text of docs/latency.md."""
    return PAGE.format(
        **{name: " / ".join(map(str, dict.fromkeys(cycles))) for name, cycles in measured.items()},
        answers="\n".join(f"| {what} | {length:,} | {' / '.join(map(str, cycles))} |"
                          for what, length, cycles in answered),
        orders="\n".join(orders), capture=capture)


def _order_row(what: str, lanes: str, cases: Sequence[Mapping[str, Any]], orders: str) -> str:
    least, most = min(c["min"] for c in cases), max(c["max"] for c in cases)
    return f"| {what} | {lanes} | {orders} | {least} | {most} |"


def _receive(lane: int) -> tuple[int, int]:
    chunk = frames_to_words([bytes(range(60))], lane=lane, tail=8)
    room = MacReceive()
    beats: list[int] = []
    ends: list[int] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(len(chunk)):
            ctx.set(room.i.valid, 1)
            ctx.set(room.i.payload.data, int(chunk.data[cycle]))
            ctx.set(room.i.payload.control, int(chunk.control[cycle]))
            if ctx.get(room.o.valid):
                beats.append(cycle)
            if ctx.get(room.o_end.valid):
                ends.append(cycle)
            await ctx.tick()

    _simulate(room, bench)
    first_byte = int(WordChunk.word_of_byte(chunk.frames, 0)[0])
    return beats[0] - first_byte, ends[0] - int(chunk.frames["end_word"][0])


def _transmit() -> int:
    room = MacTransmit()
    offered, started = 20, []

    async def bench(ctx: Any) -> None:
        ctx.set(room.i.payload, {"data": 0x1122334455667788, "end": 8, "first": 1})
        for cycle in range(_TAIL):
            ctx.set(room.i.valid, cycle >= offered)
            ctx.set(room.i_goes_on, cycle >= offered)
            if ctx.get(room.o_start):
                started.append(cycle)
            await ctx.tick()

    _simulate(room, bench)
    return started[0] - offered


def _simulate(room: Any, bench: Any) -> None:
    simulator = Simulator(room)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def _play(engine: Engine, frame: bytes, lane: int) -> int:
    """Play a frame, let all come to rest; returns the cycle of its word with TERMINATE."""
    chunk = frames_to_words([frame], lane=lane, tail=_REST)
    end = engine.cycles + int(chunk.frames["end_word"][0])
    engine.run(chunk.data, chunk.control)
    return end


def _answer(engine: Engine, request: bytes, lane: int) -> int:
    end = _play(engine, request, lane)
    sent = engine.take_tx()
    (answer,) = WordReader().feed_busy(sent.cycle, sent.data, sent.control)
    return answer.start_cycle - end


def _who_has() -> bytes:
    packet = (b"\xff" * 6 + PEER_MAC + bytes.fromhex("0806 0001 0800 06 04 0001")
              + PEER_MAC + PEER_IP + bytes(6) + OWN_IP)
    return packet.ljust(60, b"\0")


def _ping(length: int) -> bytes:
    echo = bytearray(bytes.fromhex("0800 0000 4321 0007") + bytes(length))
    echo[2:4] = internet_checksum(bytes(echo)).to_bytes(2)
    header = bytearray(bytes.fromhex("4500") + (20 + len(echo)).to_bytes(2)
                       + bytes.fromhex("1234 4000 40 01 0000") + PEER_IP + OWN_IP)
    header[10:12] = internet_checksum(bytes(header)).to_bytes(2)
    return OWN_MAC + PEER_MAC + b"\x08\x00" + bytes(header) + bytes(echo)
