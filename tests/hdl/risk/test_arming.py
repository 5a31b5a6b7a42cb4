# amaranth: UnusedElaboratable=no
"""Arming in two steps, nonce expiry, dead-man timer, kill switch."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.risk.arming import Arming

LIFETIME = 10


class Host:
    """Writes to the arming registers in a testbench."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut

    async def tick(self, cycles=1):
        for _ in range(cycles):
            await self.ctx.tick()

    async def pulse(self, *names):
        for name in names:
            self.ctx.set(getattr(self.dut, name), 1)
        await self.ctx.tick()
        for name in names:
            self.ctx.set(getattr(self.dut, name), 0)

    async def write(self, port, value):
        self.ctx.set(port.valid, 1)
        self.ctx.set(port.payload, value)
        await self.ctx.tick()
        self.ctx.set(port.valid, 0)
        self.ctx.set(port.payload, random.getrandbits(32))

    async def nonce(self):
        await self.pulse("i_request")
        return self.ctx.get(self.dut.o_nonce)

    async def arm(self):
        await self.write(self.dut.i_arm, await self.nonce())

    async def release(self):
        await self.write(self.dut.i_release, await self.nonce())

    def state(self):
        """armed, killed, host timeout"""
        return tuple(self.ctx.get(signal) for signal in (
            self.dut.o_armed, self.dut.o_killed, self.dut.o_host_timeout))


OFF, ARMED, KILLED, LOST = (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)


def run(test, **inputs):
    dut = Arming()

    async def testbench(ctx):
        for name, value in {"i_lifetime": LIFETIME, "i_period": 0, **inputs}.items():
            ctx.set(getattr(dut, name), value)
        await test(Host(ctx, dut))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


def test_off_at_reset_and_no_number_arms():
    async def test(host):
        assert host.state() == OFF
        for value in (0, 1, 2**32 - 1):
            await host.write(host.dut.i_arm, value)
            assert host.state() == OFF
    run(test)


def test_the_nonce_written_back_arms_in_the_next_cycle():
    async def test(host):
        await host.arm()
        assert host.state() == ARMED
        assert host.ctx.get(host.dut.o_count_armed)
    run(test)


@pytest.mark.parametrize(("wait", "state"), ((LIFETIME - 1, ARMED), (LIFETIME, OFF)))
def test_a_nonce_expires(wait, state):
    async def test(host):
        nonce = await host.nonce()
        await host.tick(wait)
        await host.write(host.dut.i_arm, nonce)
        assert host.state() == state
    run(test)


def test_without_a_lifetime_nothing_arms():
    async def test(host):
        await host.arm()
        assert host.state() == OFF
    run(test, i_lifetime=0)


def test_a_nonce_is_good_once_and_a_repeated_one_disarms():
    async def test(host):
        nonce = await host.nonce()
        await host.write(host.dut.i_arm, nonce)
        assert host.state() == ARMED
        await host.write(host.dut.i_arm, nonce)
        assert host.state() == OFF
        assert host.ctx.get(host.dut.o_count_refused)
    run(test)


@pytest.mark.parametrize("flip", (1, 1 << 15, 1 << 31))
def test_a_wrong_number_disarms_and_spends_the_nonce(flip):
    async def test(host):
        await host.arm()
        nonce = await host.nonce()
        await host.write(host.dut.i_arm, nonce ^ flip)
        assert host.state() == OFF
        await host.write(host.dut.i_arm, nonce)
        assert host.state() == OFF
    run(test)


def test_asking_again_voids_the_first_nonce():
    async def test(host):
        first = await host.nonce()
        assert first != await host.nonce()
        await host.write(host.dut.i_arm, first)
        assert host.state() == OFF
    run(test)


def test_disarming():
    async def test(host):
        await host.arm()
        await host.pulse("i_disarm")
        assert host.state() == OFF
        nonce = await host.nonce()
        host.ctx.set(host.dut.i_disarm, 1)
        await host.write(host.dut.i_arm, nonce)
        assert host.state() == OFF
    run(test)


def test_kill_latches_through_disarming_and_arming():
    async def test(host):
        await host.arm()
        await host.pulse("i_kill")
        assert host.state() == (1, 1, 0)
        assert host.ctx.get(host.dut.o_count_killed)
        await host.pulse("i_disarm")
        await host.arm()
        assert host.state() == KILLED
    run(test)


def test_kill_is_released_only_while_disarmed_and_with_a_nonce():
    async def test(host):
        await host.arm()
        await host.pulse("i_kill")
        await host.release()
        assert host.state() == KILLED           # it was armed: that disarms, and no more
        await host.write(host.dut.i_release, 0)
        assert host.state() == KILLED
        await host.release()
        assert host.state() == OFF
        await host.arm()
        assert host.state() == ARMED
    run(test)


def test_the_pin_kills_in_three_cycles_and_holds_off_the_release():
    async def test(host):
        await host.arm()
        host.ctx.set(host.dut.i_kill_pin, 1)
        await host.tick(2)
        assert host.state() == ARMED
        await host.tick()
        assert host.state() == (1, 1, 0)
        await host.pulse("i_disarm")
        await host.release()
        assert host.state() == KILLED
        host.ctx.set(host.dut.i_kill_pin, 0)
        await host.tick(3)
        assert host.state() == KILLED
        await host.release()
        assert host.state() == OFF
    run(test)


def test_killing_wins_over_arming_and_releasing_in_the_same_cycle():
    async def test(host):
        nonce = await host.nonce()
        host.ctx.set(host.dut.i_kill, 1)
        await host.write(host.dut.i_arm, nonce)
        assert host.state() == KILLED
        host.ctx.set(host.dut.i_kill, 0)
        nonce = await host.nonce()
        host.ctx.set(host.dut.i_kill, 1)
        await host.write(host.dut.i_release, nonce)
        assert host.state() == KILLED
    run(test)


def test_a_silent_host_disarms_and_that_is_latched_until_the_next_arming():
    async def test(host):
        await host.arm()
        await host.tick(19)
        assert host.state() == ARMED
        await host.tick()
        assert host.state() == LOST
        assert host.ctx.get(host.dut.o_count_host_timeout)
        await host.pulse("i_touch")
        assert host.state() == LOST
        await host.arm()
        assert host.state() == ARMED
    run(test, i_period=20)


def test_touching_in_time_keeps_it_armed():
    async def test(host):
        await host.arm()
        for _ in range(5):
            await host.tick(19)
            await host.pulse("i_touch")
            assert host.state() == ARMED
    run(test, i_period=20)


def test_the_timer_starts_when_it_is_switched_on():
    async def test(host):
        await host.arm()
        await host.tick(100)
        host.ctx.set(host.dut.i_period, 20)
        await host.tick(19)
        assert host.state() == ARMED
        await host.tick()
        assert host.state() == LOST
    run(test)


def test_nonces_differ():
    async def test(host):
        nonces = [await host.nonce() for _ in range(200)]
        assert len(set(nonces)) == 200
        assert 0 not in nonces
    run(test)
