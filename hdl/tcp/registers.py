"""What of every connection stands in registers, because frames look at it while they leave."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.connection import Hot, OrderView, State
from tickwire.hdl.tcp.segment import SESSION_BITS, Left, SessionView

__all__ = ["HotWrite", "SessionRegisters"]


class HotWrite(data.Struct):
    """Puts a session's registers. SND.NXT belongs to the frames, but for a new connection."""

    session: SESSION_BITS
    hot: Hot
    fresh: 1                # a new connection begins
    sequence: 32            # its initial sequence number


class SessionRegisters(wiring.Component):
    """SND.NXT and the members of :class:`Hot` of all sessions.

    Frames advance SND.NXT when they have left whole; the order path and the transmitter may do so
    in one cycle, for different sessions. A frame counts only if it began at its session's next
    byte: neither a retransmission nor a frame of a connection that is over does.

    Latency: a write or a frame shows in ``o_view``, ``o_order``, ``o_next`` and ``o_hot`` 1 cycle
    after its strobe; these follow their index in the same cycle.

    Parameters
    ----------
    sessions : int
        1 to 64.

    Members
    -------
    i_write : In, strobe(HotWrite)
    i_commit, i_order_commit : In, strobe(Left)
        A frame has left whole. Both may come in a cycle, but not for one session.
    o_new : Out, ``sessions`` bits
        SND.NXT has advanced in the cycle before.
    o_fin : Out, ``sessions`` bits
        Our FIN has left.
    i_fin : In, 1 bit
        ``i_commit`` is of a frame with our FIN.
    i_view : In, 6 bits
    o_view : Out, SessionView
    i_order : In, 6 bits
    o_order : Out, OrderView
    i_index : In, 6 bits, array of 3
    o_hot : Out, Hot, array of 3
    o_next : Out, 32 bits, array of 3
        SND.NXT.

    Raises
    ------
    ValueError
        If ``sessions`` is not supported.
    """

    def __init__(self, sessions):
        if not 1 <= sessions <= 1 << SESSION_BITS:
            raise ValueError("SessionRegisters sessions must be from 1 to "
                             f"{1 << SESSION_BITS}, not {sessions!r}")
        self._sessions = sessions
        super().__init__({
            "i_write": In(strobe(HotWrite)),
            "i_commit": In(strobe(Left)),
            "i_order_commit": In(strobe(Left)),
            "i_fin": In(1),
            "o_new": Out(sessions),
            "o_fin": Out(sessions),
            "i_view": In(SESSION_BITS),
            "o_view": Out(SessionView),
            "i_order": In(SESSION_BITS),
            "o_order": Out(OrderView),
            "i_index": In(SESSION_BITS).array(3),
            "o_hot": Out(Hot).array(3),
            "o_next": Out(32).array(3),
        })

    def elaborate(self, platform):
        m = Module()
        sequences = Array(Signal(32, name=f"next_{index}") for index in range(self._sessions))
        rows = Array(Signal(Hot, name=f"hot_{index}") for index in range(self._sessions))

        # The sum does not wait for the choice.
        after, counts = [], []
        for name in ("i_commit", "i_order_commit"):
            door = getattr(self, name)
            sum_, begins = Signal(32, name=f"{name}_after"), Signal(name=f"{name}_begins")
            m.d.comb += [
                sum_.eq(door.payload.sequence + door.payload.length),
                begins.eq(door.valid & door.payload.length.any()
                          & (sequences[door.payload.session] == door.payload.sequence)),
            ]
            after.append(sum_)
            counts.append(begins)

        write = self.i_write.payload
        for index in range(self._sessions):
            m.d.sync += self.o_new[index].eq(0)
            for door, sum_, begins in zip((self.i_commit, self.i_order_commit), after, counts,
                                          strict=True):
                with m.If(begins & (door.payload.session == index)):
                    m.d.sync += [sequences[index].eq(sum_), self.o_new[index].eq(1)]
            with m.If(counts[0] & self.i_fin & (self.i_commit.payload.session == index)):
                m.d.sync += self.o_fin[index].eq(1)
            with m.If(self.i_write.valid & (write.session == index)):
                m.d.sync += rows[index].eq(write.hot)
                with m.If(write.fresh):
                    m.d.sync += [sequences[index].eq(write.sequence), self.o_new[index].eq(0),
                                 self.o_fin[index].eq(0)]

        for index, hot, following in zip(self.i_index, self.o_hot, self.o_next, strict=True):
            m.d.comb += [hot.eq(rows[index].as_value()), following.eq(sequences[index])]
        view, order = data.View(Hot, rows[self.i_view].as_value()), \
            data.View(Hot, rows[self.i_order].as_value())
        m.d.comb += [
            self.o_view.sequence.eq(sequences[self.i_view]),
            self.o_view.acknowledgement.eq(view.acknowledgement),
            self.o_view.window.eq(view.window),
            self.o_order.open.eq(order.state == State.ESTABLISHED),
            self.o_order.sequence.eq(sequences[self.i_order]),
            self.o_order.unacknowledged.eq(order.unacknowledged),
            self.o_order.peer_window.eq(order.usable),
            self.o_order.largest.eq(order.largest),
            self.o_order.acknowledgement.eq(order.acknowledgement),
            self.o_order.window.eq(order.window),
        ]
        return m
