# amaranth: UnusedElaboratable=no
"""Rooms of TcpControl by themselves: delivery, round trip, congestion window."""

import random

import pytest
from amaranth.sim import Simulator
from tcp_engine import beats
from tickwire.hdl.tcp.congestion import CongestionControl, CongestionEvent
from tickwire.hdl.tcp.delivery import Delivery
from tickwire.hdl.tcp.registers import SessionRegisters
from tickwire.hdl.tcp.round_trip import RoundTrip


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_delivery_of_every_portion():
    dut, rng = Delivery(), random.Random(3)
    cases = [(length, skip, take) for length in (*range(1, 26), 64) for skip in range(length)
             for take in {0, 1, length - skip, (length - skip) // 2} if take or not skip]
    rng.shuffle(cases)
    cases = cases[:500]

    async def bench(ctx):
        portions = [(number % 64, skip, take) for number, (_, skip, take) in enumerate(cases)]
        data = [rng.randbytes(length) for length, _, _ in cases]
        payload = [beat for text in data for beat in beats(text, rng)]
        expected = [(number % 64, text[skip:skip + take]) for number, (text, (_, skip, take))
                    in enumerate(zip(data, cases, strict=True)) if take]
        found, current = [], b""
        offered = {"portion": False, "beat": False}
        for _ in range(40_000):
            if not offered["portion"]:
                offered["portion"] = bool(portions) and rng.random() < 0.7
                ctx.set(dut.i_portion.valid, offered["portion"])
                ctx.set(dut.i_portion.payload, dict(zip(
                    ("session", "skip", "take"), portions[0] if offered["portion"] else
                    (rng.getrandbits(6), rng.getrandbits(11), rng.getrandbits(11)), strict=True)))
            if not offered["beat"]:
                offered["beat"] = bool(payload) and rng.random() < 0.7
                ctx.set(dut.i.valid, offered["beat"])
                ctx.set(dut.i.payload, payload[0] if offered["beat"] else
                        {"data": rng.getrandbits(64), "last": rng.getrandbits(1)})
            ctx.set(dut.o.ready, rng.random() < 0.7)
            if offered["portion"] and ctx.get(dut.i_portion.ready):
                portions.pop(0)
                offered["portion"] = False
            if offered["beat"] and ctx.get(dut.i.ready):
                payload.pop(0)
                offered["beat"] = False
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                beat = ctx.get(dut.o.payload)
                assert beat.first == (not current) and beat.begin == 0
                current += int(beat.data).to_bytes(8, "little")[:beat.end]
                assert beat.last or beat.end == 8
                if beat.last:
                    found.append((ctx.get(dut.o_session), current))
                    current = b""
            await ctx.tick()
            if len(found) == len(expected) and not payload and not portions:
                break
        assert found == expected

    simulate(dut, bench)


@pytest.mark.parametrize("samples", [[1] * 20, [3, 7, 100, 100, 100, 100, 4, 4, 4, 4, 4, 4],
                                     [1000, 900, 1100, 1000, 5000, 1000, 1000], [131_071] * 8])
def test_round_trip_is_that_of_rfc_6298(samples):
    dut = RoundTrip(10, 200_000)

    async def bench(ctx):
        estimate = {"measured": 0, "srtt": 77, "rttvar": 88, "rto": 99}
        srtt = rttvar = None
        for sample in samples:
            if srtt is None:
                srtt, rttvar = sample, sample / 2
            else:
                rttvar = 3 / 4 * rttvar + abs(srtt - sample) / 4
                srtt = 7 / 8 * srtt + sample / 8
            ctx.set(dut.i, estimate)
            ctx.set(dut.i_sample, sample)
            await ctx.tick()
            ctx.set(dut.i_sample, 5)
            await ctx.tick().repeat(2)
            out = ctx.get(dut.o)
            estimate = {name: getattr(out, name) for name in estimate}
            assert out.measured
            expected = min(200_000, max(10, srtt + max(1, 4 * rttvar)))
            assert -2 <= out.rto - expected <= 4 + expected / 50, (out.rto, expected)

    simulate(dut, bench)


class Rfc:
    """RFC 5681 and RFC 6582 for one connection, in plain arithmetic."""

    def __init__(self, mss, iss):
        self.mss, self.recover = mss, iss
        self.cwnd, self.ssthresh, self.credit, self.duplicates = 0, 0, 0, 0
        self.recovering = False

    def happens(self, event, *, again, acked, flight, acknowledgement, following):
        mss, half = self.mss, max(flight // 2, 2 * self.mss)
        if event == CongestionEvent.OPENED:
            self.cwnd = mss if again else 3 * mss if mss > 1095 else 4 * mss
            self.ssthresh = 65535
        elif event == CongestionEvent.TIMEOUT:
            self.ssthresh = self.ssthresh if again else half
            self.cwnd, self.credit, self.duplicates, self.recovering = mss, 0, 0, False
            self.recover = following
        elif event == CongestionEvent.DUPLICATE:
            if self.recovering:
                self.cwnd = min(65535, self.cwnd + mss)
            elif self.duplicates < 3:
                self.duplicates += 1
                if self.duplicates == 3 and acknowledgement > self.recover:
                    self.ssthresh, self.cwnd = half, half + 3 * mss
                    self.recovering, self.recover = True, following
                    return True
        else:
            self.duplicates = 0
            partial = acknowledgement < self.recover
            if self.recovering and not partial:
                self.recovering, self.cwnd = False, self.ssthresh
            elif self.recovering:
                self.cwnd = max(0, self.cwnd - acked)
                if acked >= mss or self.cwnd < mss:
                    self.cwnd += mss
            elif self.cwnd < self.ssthresh:
                self.cwnd = min(65535, self.cwnd + min(acked, mss))
            elif self.credit + acked >= self.cwnd:
                self.credit += acked - self.cwnd
                self.cwnd = min(65535, self.cwnd + mss)
            else:
                self.credit += acked
            self.recover = max(self.recover, acknowledgement - 1)
            return partial
        return False


@pytest.mark.parametrize("mss, iss", [(100, 5000), (536, 1 << 31), (1460, (1 << 32) - 9000)])
def test_congestion_control_against_plain_arithmetic(mss, iss):
    dut, rng = CongestionControl(), random.Random(mss)
    names = ("cwnd", "ssthresh", "credit", "duplicates", "recovering", "recover")

    async def bench(ctx):
        model, una, following = Rfc(mss, iss), iss + 1, iss + 1
        state = dict.fromkeys(names, 0) | {"recover": iss}
        ctx.set(dut.i_mss, mss)
        for number in range(1500):
            following += rng.randrange(0, 2 * mss) if rng.random() < 0.7 else 0
            flight = following - una
            event = CongestionEvent.OPENED if number == 0 else rng.choice(
                [CongestionEvent.ACKNOWLEDGED] * 6 + [CongestionEvent.DUPLICATE] * 5
                + [CongestionEvent.TIMEOUT])
            acked = 0
            if event == CongestionEvent.ACKNOWLEDGED:
                if not flight:
                    continue
                acked = rng.choice((flight, rng.randint(1, flight)))
            case = {"again": rng.random() < 0.3, "acked": acked, "flight": min(flight, 65535),
                    "acknowledgement": una + acked, "following": following}
            resend = model.happens(event, **case)
            ctx.set(dut.i, state)
            ctx.set(dut.i_event, event)
            ctx.set(dut.i_again, case["again"])
            ctx.set(dut.i_acked, min(acked, 65535))
            ctx.set(dut.i_flight, case["flight"])
            ctx.set(dut.i_acknowledgement, case["acknowledgement"] & 0xffffffff)
            ctx.set(dut.i_next, following & 0xffffffff)
            await ctx.tick()
            ctx.set(dut.i, {name: rng.getrandbits(1) for name in names})
            await ctx.tick()
            out = ctx.get(dut.o)
            state = {name: int(getattr(out, name)) for name in names}
            assert state == {name: getattr(model, name) & 0xffffffff for name in names}
            assert bool(ctx.get(dut.o_resend)) == resend
            una += acked

    simulate(dut, bench)


def test_refusals():
    with pytest.raises(ValueError, match="^RoundTrip needs 1 <= least <= most < 2\\^18 ticks, not "
                                         "least 0 and most 5$"):
        RoundTrip(0, 5)
    with pytest.raises(ValueError, match="^SessionRegisters sessions must be from 1 to 64, not 65"):
        SessionRegisters(65)
