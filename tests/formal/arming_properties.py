"""What arming owes, and what a budget owes: stated apart from the gateware."""

from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import wiring
from seeded import through
from tickwire.hdl.risk.arming import Arming
from tickwire.hdl.risk.rate import RateLimit, TokenBucket


class ArmingIsDeliberate(wiring.Component):
    """Arming with free inputs: only the nonce arms, a kill stays, the dead man disarms."""

    def __init__(self, *, deaf=()):
        self.deaf = dict(deaf)
        self.arming = Arming()
        super().__init__(self.arming.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.arming = arming = self.arming
        through(m, self, arming, self.deaf)

        # The nonce as the host knows it: made at a request, void after one answer or its lifetime.
        age, asked = Signal(32), Signal()
        silence = Signal(32)
        with m.If(self.i_request):
            m.d.sync += [asked.eq(1), age.eq(0)]
        with m.Elif(self.i_arm.valid | self.i_release.valid):
            m.d.sync += asked.eq(0)
        with m.Else():
            m.d.sync += age.eq(age + ~age.all())
        names = ("armed", "killed", "timeout", "right", "wrong", "stop", "kill", "asleep")
        was = {name: Signal(name=f"was_{name}") for name in names}
        in_time = asked & (age < self.i_lifetime)
        m.d.sync += [
            was["armed"].eq(self.o_armed), was["killed"].eq(self.o_killed),
            was["timeout"].eq(self.o_host_timeout),
            was["right"].eq(self.i_arm.valid & in_time & (self.i_arm.payload == self.o_nonce)
                            & (self.o_nonce != 0)),
            was["wrong"].eq((self.i_arm.valid & (self.i_arm.payload != self.o_nonce))
                            | self.i_disarm),
            was["stop"].eq(self.i_release.valid & in_time & (self.i_release.payload == self.o_nonce)
                           & ~self.o_armed & ~self.i_kill),
            was["kill"].eq(self.i_kill),
            was["asleep"].eq(self.o_armed & (self.i_period != 0) & ~self.i_touch
                             & (silence >= self.i_period)),
        ]
        m.d.sync += silence.eq(Mux(self.i_touch | ~self.o_armed | (self.i_period == 0), 1,
                                   silence + 1))
        # Invariants: both count the same.
        m.d.comb += Assert(silence == arming.silence)
        with m.If(self.o_nonce != 0):
            m.d.comb += Assert(asked & (arming.age == age + 1))

        fresh = Signal(init=1)
        m.d.sync += fresh.eq(0)
        with m.If(fresh):
            m.d.comb += Assert(~self.o_armed & ~self.o_killed)
        m.d.comb += Assert(~(self.o_armed & self.o_host_timeout))
        with m.If(self.o_armed & ~was["armed"]):
            m.d.comb += Assert(was["right"] & ~was["killed"] & ~was["kill"])
        with m.If(was["wrong"] | was["asleep"]):
            m.d.comb += Assert(~self.o_armed)
        with m.If(was["kill"]):
            m.d.comb += Assert(self.o_killed)
        with m.If(was["killed"] & ~self.o_killed & ~fresh):
            m.d.comb += Assert(was["stop"] & ~self.o_armed)
        return m


class BudgetIsKept(wiring.Component):
    """A token bucket gives no more than its burst, and no new token before a period is over."""

    def __init__(self):
        self.bucket = TokenBucket()
        super().__init__(self.bucket.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.bucket = bucket = self.bucket
        wiring.connect(m, wiring.flipped(self.i_limit), bucket.i_limit)
        m.d.comb += [bucket.i_take.eq(self.i_take), self.o_ok.eq(bucket.o_ok),
                     self.o_more.eq(bucket.o_more), self.o_tokens.eq(bucket.o_tokens)]
        limit = Signal(RateLimit)
        tokens, taken, limited = Signal(16), Signal(), Signal()
        since = Signal(33)      # cycles since a token came, or since the bucket was full
        m.d.sync += [tokens.eq(self.o_tokens), taken.eq(bucket.i_take & bucket.o_ok),
                     limited.eq(self.i_limit.valid)]
        came = Signal()
        m.d.comb += came.eq(~limited & ((self.o_tokens + taken) == tokens + 1))
        with m.If(self.i_limit.valid):
            m.d.sync += limit.eq(self.i_limit.payload)
        m.d.comb += Assert(self.o_tokens <= limit.burst)
        with m.If(limited):
            m.d.comb += Assert(self.o_tokens == limit.burst)
        with m.Else():
            m.d.comb += Assert(((self.o_tokens + taken) == tokens) | came)
        with m.If(came):
            m.d.comb += Assert((limit.period != 0) & (since > limit.period))
        counted = Mux(came | limited, 1, since)
        m.d.sync += since.eq(Mux(self.o_tokens == limit.burst, 1, counted + 1))
        # Invariants: the period as the bucket counts it.
        m.d.comb += [Assert(bucket.limit.as_value() == limit.as_value()),
                     Assert((limit.period == 0) | ((counted == bucket.elapsed)
                                                   & (bucket.elapsed <= limit.period)))]
        m.d.comb += [Assert(self.o_ok == (self.o_tokens != 0)),
                     Assert(self.o_more == (self.o_tokens > 1))]
        return m
