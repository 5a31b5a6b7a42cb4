# amaranth: UnusedElaboratable=no
"""Counters of RFC 2819 and RFC 2863 against a count in plain Python; PAUSE and its timer."""

from collections import Counter

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator
from statistics_bench import OWN, Listening
from tickwire.hdl.mac.pause import PauseGate, PauseTimer
from tickwire.hdl.mac.statistics import HISTOGRAM, InterfaceStatistics
from xgmii_bench import ERROR, Wire, seeded, with_fcs

GROUP = bytes.fromhex("0180c2000001")


def pause(quanta, *, to=GROUP, kind=0x8808, opcode=1, length=60):
    octets = (to + bytes.fromhex("020000000009") + kind.to_bytes(2, "big")
              + opcode.to_bytes(2, "big") + quanta.to_bytes(2, "big"))
    return with_fcs(octets + bytes(length - len(octets)))


def test_every_counter_equals_a_count_by_hand():
    rng, wire = seeded(21), Wire().idle(16)
    expected = Counter()
    maximum = 1600
    lengths = [*range(18, 70), 127, 128, 255, 256, 511, 512, 1023, 1024, 1518, 1519, 1600, 1601,
               1700]
    for number, length in enumerate(3 * lengths):
        fault = rng.choice(["", "", "fcs", "symbol"])
        octets = bytearray(rng.randbytes(length - 4))
        kind = rng.choice(["ucast", "multicast", "broadcast", "control"])
        octets[:6] = {"ucast": b"\x02" + octets[1:6], "multicast": b"\x01" + octets[1:6],
                      "broadcast": b"\xff" * 6, "control": GROUP}[kind]
        octets[12:14] = (b"\x88\x08" if kind == "control" else b"\x08\x00")[:len(octets[12:])]
        octets[14:16] = b"\x00\x02"[:len(octets[14:])]
        octets = bytearray(with_fcs(octets))
        if fault == "fcs":
            octets[rng.randrange(length)] ^= 1 << rng.randrange(8)
        wire.align(4 * (number % 2)).frame(octets)
        heard = length
        if fault == "symbol":
            heard = rng.choice([length - 1, rng.randrange(length)])
            wire.characters[wire.frames[-1][0] + 8 + heard] = (ERROR, 1)
        wire.idle(rng.choice([5, 12]))

        expected["octets"] += heard
        expected["pkts"] += 1
        sound = not fault
        size = ("short" if heard < 64 else "long" if heard > maximum else "")
        expected[{"": "crc_align_errors" if fault else "", "short": "fragments" if fault else
                  "undersize_pkts", "long": "jabbers" if fault else "oversize_pkts"}[size]] += 1
        for name, (shortest, longest) in HISTOGRAM.items():
            expected[name] += shortest <= heard <= longest
        good = sound and not size
        expected["in.errors"] += not good
        if good:
            expected["in.octets"] += heard
            expected["multicast_pkts"] += kind in ("multicast", "control")
            expected["broadcast_pkts"] += kind == "broadcast"
            expected["unknown"] += kind == "control"
            if kind != "control":
                expected[f"in.{kind}_pkts"] += 1
    heard = Listening(wire.words(), max_length=maximum)
    ether = heard.of("ether")
    assert ether == {name: expected[name] for name in ether}
    interface = heard.of("interface")
    assert {f"in.{name}": interface[f"in_{name}"] for name in (
        "octets", "ucast_pkts", "multicast_pkts", "broadcast_pkts", "errors")} == {
        f"in.{name}": expected[f"in.{name}"] for name in (
            "octets", "ucast_pkts", "multicast_pkts", "broadcast_pkts", "errors")}
    assert heard.of("timer") == {"frames": 0, "unknown": expected["unknown"]}
    assert min(ether.values()) > 0 and not heard.pauses


@pytest.mark.parametrize("lane", [0, 4])
def test_a_pause_lasts_its_quanta_and_the_next_one_sets_it_anew(lane):
    wire, rng = Wire().idle(16), seeded(22)
    frames = [pause(3), pause(30), pause(0), pause(2, to=OWN.to_bytes(6, "big"), length=100)]
    for octets, idle in zip(frames, (480, 200, 400, 400), strict=True):
        wire.idle(idle).align(lane).frame(octets)
        # What follows at once, from the other lane, must not be taken for part of it.
        wire.idle(7).align(4 - lane).frame(with_fcs(rng.randbytes(14) + bytes(50)))
    heard = Listening(wire.idle(400).words(), tick=10)
    ends = heard.ends[::2]
    assert heard.pauses == [
        (ends[0] + 1, 1), (ends[0] + 1 + 30, 0), (ends[1] + 1, 1), (ends[2] + 1, 0),
        (ends[3] + 1, 1), (ends[3] + 1 + 20, 0)]
    assert heard.of("timer") == {"frames": 4, "unknown": 0}
    assert heard.of("interface")["in_ucast_pkts"] + heard.of("interface")[
        "in_multicast_pkts"] == 4, "PAUSE goes to no client"


def test_what_is_no_pause_frame_sets_nothing():
    other = bytes.fromhex("0180c2000002")
    bad = bytearray(pause(9))
    bad[20] ^= 4
    wire = Wire().idle(16)
    for lane in (0, 4):
        for octets in (pause(9, to=other), pause(9, kind=0x8809), pause(9, opcode=0x101),
                       pause(9, opcode=0), bytes(bad), pause(9, length=56)):
            wire.idle(100).align(lane).frame(octets)
    heard = Listening(wire.idle(100).words())
    assert not heard.pauses
    # Of these, MAC Control: to another group, and two other opcodes.
    assert heard.of("timer") == {"frames": 0, "unknown": 6}


@pytest.mark.parametrize(("settings", "value"), [
    ((("i_obey_for_orders", 1),), 3), ((("i_enable", 0),), 0)])
def test_who_obeys_is_a_setting(settings, value):
    wire = Wire().idle(16).frame(pause(2)).idle(400)
    heard = Listening(wire.words(), settings=settings)
    assert [level for _, level in heard.pauses] == ([value, 0] if value else [])
    assert heard.of("timer")["frames"] == 1


def test_the_gate_shuts_between_frames_only():
    rng, dut = seeded(23), PauseGate()
    taken, begun_late = [], []

    async def bench(ctx):
        beats, number, offered, paused_for, was_valid = [], 0, None, 0, None
        for cycle in range(6000):
            if not beats and rng.random() < 0.7:
                count = rng.randrange(1, 6)
                beats = [(number, at, at == 0, at == count - 1) for at in range(count)]
                number += 1
                offered = None
            valid = bool(beats) and (was_valid is not None or rng.random() < 0.8)
            stops = rng.random() < 0.03 if paused_for == 0 else rng.random() < 0.9
            ctx.set(dut.i_pause, stops)
            ctx.set(dut.i.valid, valid)
            if beats:
                ctx.set(dut.i.payload, {"data": beats[0][0] << 8 | beats[0][1], "begin": 0,
                                        "end": 8, "first": beats[0][2], "last": beats[0][3]})
            ready = rng.random() < 0.6
            ctx.set(dut.o.ready, ready)
            shown, accepted = ctx.get(dut.o.valid), ctx.get(dut.i.ready)
            assert accepted == (ready and (shown or not valid)) or not valid
            if was_valid and was_valid == "waiting":
                assert shown, "what was offered stays offered"
            if shown:
                assert valid
                if offered is None:
                    offered = cycle
                    assert paused_for == 0, "no frame is first offered in a pause"
                elif paused_for:
                    begun_late.append(cycle)
            was_valid = "waiting" if shown and not ready else "held" if valid else None
            if valid and accepted:
                taken.append(beats.pop(0))
                was_valid = None
            paused_for = paused_for + 1 if stops else 0
            await ctx.tick()
        assert number > 500

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    sim.run()
    assert [beat[:2] for beat in taken if beat[2]] == [(n, 0) for n in range(
        taken[-1][0] + 1)] and begun_late


def test_what_leaves_is_counted():
    """Beats and strobes as MacTransmit gives them."""
    rng, dut, expected = seeded(24), InterfaceStatistics(), Counter()
    names = [port.removeprefix("o_count_") for port in dut.signature.members
             if port.startswith("o_count_out")]
    outputs = [getattr(dut, f"o_count_{name}") for name in names]
    totals = Counter()

    async def bench(ctx):
        async def tick():
            vector = ctx.get(Cat(outputs))
            for name, value in zip(names, outputs, strict=True):
                totals[name] += vector & (1 << len(value)) - 1
                vector >>= len(value)
            await ctx.tick()

        for _ in range(200):
            length = rng.choice([14, 59, 60, 61, rng.randrange(14, 300), 9212])
            kind = rng.choice(["ucast", "multicast", "broadcast"])
            octets = {"ucast": b"\x02", "multicast": b"\x03", "broadcast": b"\xff"}[kind]
            octets = octets * 6 + rng.randbytes(length - 6)
            aborted = rng.random() < 0.2
            for at in range(0, length, 8):
                part = octets[at:at + 8]
                ctx.set(dut.i_sent.payload, {
                    "data": int.from_bytes(part, "little"), "begin": 0, "end": len(part),
                    "first": at == 0, "last": at + 8 >= length})
                ctx.set(dut.i_sent.valid, 1)
                ctx.set(dut.i_start, at == 0)
                await tick()
            ctx.set(dut.i_sent.valid, 0)
            ctx.set(dut.i_start, 0)
            for _ in range(rng.randrange(3)):
                await tick()
            ctx.set(dut.i_done.valid, 1)
            ctx.set(dut.i_done.payload.aborted, aborted)
            discard = rng.random() < 0.3
            ctx.set(dut.i_out_discards, discard)
            await tick()
            ctx.set(dut.i_done.valid, 0)
            ctx.set(dut.i_out_discards, 0)
            expected[f"out_{kind}_pkts"] += 1
            expected["out_errors"] += aborted
            expected["out_discards"] += discard
            expected["out_octets"] += 0 if aborted else max(60, length) + 4
        await tick()
        await tick()

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    sim.run()
    assert totals == expected and len(expected) == 6


def test_a_tick_of_nought_is_refused():
    with pytest.raises(ValueError, match="PauseTimer tick must be at least 1 cycle, not 0"):
        PauseTimer(0)
