"""Whether orders may leave at all: arming in two steps, the dead-man timer, the kill switch."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe

__all__ = ["Arming"]


class Arming(wiring.Component):
    """Armed only by who asks for a nonce and writes it back in time; stopped by anything else.

    To arm: ``i_request`` makes a nonce, ``i_arm`` with it within ``i_lifetime`` cycles arms. A
    nonce is good for one use, and a wrong, late or repeated one disarms. It protects against
    accidents (a stray write, a replayed script), not against an attacker who can read registers.

    The kill switch latches. It is released by ``i_release`` with a nonce, while disarmed and
    while the pin is quiet, and can only then be armed again. It does not disarm by itself, so
    that refusals name it.

    The dead-man timer disarms when the host has not touched it for ``i_period`` cycles, and
    latches ``o_host_timeout`` until the next arming or disarming.

    Latency: every input → outputs 1 cycle; ``i_kill_pin`` 3.

    Members
    -------
    i_request : In(1)
        Makes a new nonce; the one before is void.
    i_arm, i_release : In(strobe(32))
        The nonce, to arm or to release the kill switch.
    i_lifetime : In(32)
        Cycles for which a nonce can be used.
    i_disarm : In(1)
        Disarms.
    i_kill : In(1)
        Pulls the kill switch.
    i_kill_pin : In(1)
        Asynchronous; high pulls the kill switch.
    i_touch : In(1)
        The host lives.
    i_period : In(32)
        Longest time between two touches in cycles; 0 switches the timer off.
    o_armed, o_killed, o_host_timeout : Out(1)
        For the risk gate; registered. Armed excludes a host timeout.
    o_nonce : Out(32)
        The nonce; 0, which never arms, if there is none.
    o_count_armed, o_count_refused, o_count_killed, o_count_host_timeout : Out(1)
        Armed; a nonce was wrong, late or not allowed; the kill switch went on; the host was lost.
    """

    i_request: In(1)
    i_arm: In(strobe(32))
    i_release: In(strobe(32))
    i_lifetime: In(32)
    i_disarm: In(1)
    i_kill: In(1)
    i_kill_pin: In(1)
    i_touch: In(1)
    i_period: In(32)
    o_armed: Out(1)
    o_killed: Out(1)
    o_host_timeout: Out(1)
    o_nonce: Out(32)
    o_count_armed: Out(1)
    o_count_refused: Out(1)
    o_count_killed: Out(1)
    o_count_host_timeout: Out(1)

    def __init__(self):
        super().__init__()
        self.age = Signal(32)           # cycles since the request
        self.silence = Signal(32)       # cycles since the last touch

    def elaborate(self, platform):
        m = Module()
        age, silence = self.age, self.silence
        kill_pin = Signal()
        m.submodules += FFSynchronizer(self.i_kill_pin, kill_pin)

        # x^32 + x^22 + x^2 + x + 1: runs always, so the moment of asking is in the number.
        noise = Signal(32, init=0x1D87_2B41)
        m.d.sync += noise.eq(Cat(noise[31] ^ noise[21] ^ noise[1] ^ noise[0], noise[:31]))

        asked = (self.o_nonce != 0) & (age <= self.i_lifetime)

        def right(answer):
            return answer.valid & asked & (answer.payload == self.o_nonce)

        arm, release, disarm = Signal(), Signal(), Signal()
        quiet = ~self.i_kill & ~kill_pin
        m.d.comb += [
            arm.eq(right(self.i_arm) & ~self.i_release.valid & ~self.i_disarm & ~self.o_killed
                   & quiet),
            release.eq(right(self.i_release) & ~self.i_arm.valid & ~self.o_armed & quiet),
            disarm.eq(self.i_disarm | (self.i_arm.valid & ~arm)
                      | (self.i_release.valid & ~release)),
        ]
        with m.If(self.i_request):
            m.d.sync += [self.o_nonce.eq(noise), age.eq(1)]
        with m.Elif(self.i_arm.valid | self.i_release.valid | (age >= self.i_lifetime)):
            m.d.sync += self.o_nonce.eq(0)
        with m.Else():
            m.d.sync += age.eq(age + 1)

        lost = Signal()
        m.d.comb += lost.eq(self.o_armed & (self.i_period != 0) & (silence >= self.i_period)
                            & ~self.i_touch)
        m.d.sync += silence.eq(
            Mux(self.i_touch | ~self.o_armed | (self.i_period == 0), 1, silence + 1))

        with m.If(disarm):
            m.d.sync += [self.o_armed.eq(0), self.o_host_timeout.eq(0)]
        with m.Elif(lost):
            m.d.sync += [self.o_armed.eq(0), self.o_host_timeout.eq(1)]
        with m.Elif(arm):
            m.d.sync += [self.o_armed.eq(1), self.o_host_timeout.eq(0)]
        with m.If(~quiet):
            m.d.sync += self.o_killed.eq(1)
        with m.Elif(release):
            m.d.sync += self.o_killed.eq(0)

        m.d.sync += [
            self.o_count_armed.eq(arm & ~lost),
            self.o_count_refused.eq((self.i_arm.valid & ~arm)
                                    | (self.i_release.valid & ~release)),
            self.o_count_killed.eq(~quiet & ~self.o_killed),
            self.o_count_host_timeout.eq(lost & ~disarm),
        ]
        return m
