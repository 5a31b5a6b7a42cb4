"""What the arbiter owes its three sources, stated on their beats and on the transmitter's."""

from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from free_octets import FreeOctets
from tickwire.hdl.mac.arbiter import TransmitArbiter
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream

ORDER, REPLY, HOST = range(3)       # in the order of their ranks


class FramesAreNotMixed(FreeOctets):
    """The transmitter takes whole frames, one source's at a time, the highest rank first.

    Whatever source, transmitter and link do: each beat that a source gives up is the very beat
    that the transmitter takes in that cycle, and the other way round, so that none is lost, made
    twice or moved. From a frame's first beat to its last all beats are of one source, and that is
    the highest that had a frame in the cycle before START. The flags say which. The arbiter never
    lets the transmitter starve.

    The transmitter is the real one; its FCS is free: :meth:`with_free_fcs`.

    Parameters
    ----------
    arbiter : TransmitArbiter
    invariants : bool
        State them too; a bounded check does without.
    """

    def __init__(self, arbiter=None, *, invariants=True):
        self.invariants = invariants
        self.arbiter = arbiter or TransmitArbiter()
        self.transmit = MacTransmit()
        sources = {name: In(packet_stream(LANES)) for name in ("i_order", "i_reply", "i_host")}
        super().__init__({**sources, "late": In(1), "i_abort": In(1), "i_fault": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = self.arbiter
        m.submodules.transmit = transmit = self.transmit
        sources = (self.i_order, self.i_reply, self.i_host)
        for source, name in zip(sources, ("i_order", "i_reply", "i_host"), strict=True):
            wiring.connect(m, wiring.flipped(source), getattr(arbiter, name))
        wiring.connect(m, arbiter.o, transmit.i)
        goes_on = Signal()
        m.d.comb += [
            arbiter.i_order_goes_on.eq(goes_on), arbiter.i_start.eq(transmit.o_start),
            transmit.i_goes_on.eq(arbiter.o_goes_on),
            transmit.i_abort.eq(self.i_abort), transmit.i_fault.eq(self.i_fault),
        ]
        gives = [Signal(name=f"gives_{rank}") for rank in range(3)]
        seen = []
        for rank, source in enumerate(sources):
            m.d.comb += gives[rank].eq(source.valid & source.ready)
            seen.append(self.assume_stream(m, rank, source, gives[rank]))
        # An order's `valid` is late only in the cycle in which its frame is offered.
        offered = Signal()
        m.d.sync += offered.eq(self.i_order.valid & ~gives[ORDER])
        new = self.i_order.payload.first & ~offered
        m.d.comb += goes_on.eq(self.i_order.valid & ~(new & self.late))

        taken = arbiter.o.valid & arbiter.o.ready
        payloads = Array(source.payload.as_value() for source in sources)
        owner_now = Mux(gives[ORDER], ORDER, Mux(gives[REPLY], REPLY, HOST))
        m.d.comb += [
            Assert(sum(gives) == taken),
            Assert(~taken | (arbiter.o.payload.as_value() == payloads[owner_now])),
            Assert(~arbiter.o.ready | ~arbiter.o_goes_on | taken),
        ]

        # Frames: whose, from the first beat to the last
        inside, owner = Signal(), Signal(2)
        had = [Signal(name=f"had_{rank}") for rank in range(3)]     # a frame, a cycle ago
        with m.If(taken):
            m.d.sync += [inside.eq(~arbiter.o.payload.last), owner.eq(owner_now)]
        m.d.sync += [was.eq(source.valid) for was, source in zip(had, sources, strict=True)]
        start = transmit.o_start
        highest = Mux(had[ORDER], ORDER, Mux(had[REPLY], REPLY, HOST))
        some = Cat(source.valid for source in sources).any()
        with m.If(taken & inside):
            m.d.comb += Assert((owner_now == owner) & ~arbiter.o.payload.first)
        with m.If(start):
            m.d.comb += Assert(taken & ~inside & arbiter.o.payload.first & (owner_now == highest))
        with m.Elif(~inside):
            m.d.comb += [Assert(~taken), Assert(~some | (arbiter.o.valid
                                                         & arbiter.o.payload.first))]

        # The flags, and no want of beats
        flags = Cat(arbiter.o_order_active, arbiter.o_reply_active, arbiter.o_host_active)
        flags_before, starved = Signal(3), Signal()
        m.d.sync += [flags_before.eq(flags),
                     starved.eq(inside & ~Array(source.valid for source in sources)[owner])]
        m.d.comb += [
            Assert(flags == Mux(start, Const(1, 3) << owner_now, flags_before)),
            Assert(~transmit.o_count_underrun | starved),
        ]
        if self.invariants:
            self.state_invariants(m, inside, owner, Cat(had).any(), seen)
        return m

    def assume_stream(self, m, rank, source, gives):
        """Frames have a beginning and an end, and what is offered stays.

        Of an order's payload only ``first`` does, before its beat is taken.

        Returns
        -------
        tuple of Signal, 1 bit each
            A frame has begun and not ended; a beat was offered and not taken, a cycle ago.
        """
        beat = source.payload
        waits, inside, before = Signal(), Signal(), Signal.like(beat.as_value())
        m.d.sync += [waits.eq(source.valid & ~source.ready), before.eq(beat)]
        with m.If(gives):
            m.d.sync += inside.eq(~beat.last)
        m.d.comb += [Assume((beat.end >= 1) & (beat.end <= LANES)),
                     Assume(beat.last | (beat.end == LANES)), Assume(beat.first == ~inside)]
        with m.If(waits):
            m.d.comb += Assume(source.valid)
            if rank != ORDER:
                m.d.comb += Assume(beat.as_value() == before)
        return inside, waits

    def state_invariants(self, m, inside, owner, had, seen):
        """How the registers go with what has been seen. They weaken nothing."""
        arbiter, tx = self.arbiter, self.transmit
        idle, beats = tx.state.as_value() == 0, tx.state.as_value() == 1
        accepts, start = beats & ~tx.padding, tx.o_start
        m.d.comb += [
            Assert(arbiter.begun == inside), Assert(owner <= HOST),
            Assert(~start | had), Assert(~start | accepts | (idle & tx.discarding)),
            Assert(~tx.discarding | (start & idle)),
            Assert(~accepts | start | inside), Assert(idle | accepts | ~inside),
            Assert(~tx.fault | ~idle | (tx.gap.wait > 1)),
            Assert(~inside | (arbiter.offered_order == (owner == ORDER))),
            Assert(~inside | (owner == ORDER) | (arbiter.offered_reply == (owner == REPLY))),
        ]
        offered = Mux(arbiter.offered_order, ORDER, Mux(arbiter.offered_reply, REPLY, HOST))
        for rank, (in_frame, waits) in enumerate(seen):
            m.d.comb += [Assert(in_frame == (inside & (owner == rank))),
                         Assert(~start | (offered != rank) | waits)]
