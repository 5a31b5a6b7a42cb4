"""The keyed hash of initial sequence numbers (RFC 9293, 3.4.1)."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SipHash"]

_INITIAL = (0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573)
_COMPRESSION, _FINALIZATION = 2, 4      # rounds: SipHash-2-4
_WORD = 8                               # bytes


class _State(enum.Enum, shape=2):
    IDLE = 0
    FIRST = 1       # half of a round
    SECOND = 2


class SipHash(wiring.Component):
    """SipHash-2-4 of a message of a fixed length (Aumasson and Bernstein, 2012).

    One half of a round takes a cycle, so that there is one addition of 64 bits between registers.

    Latency: ``i_start`` → ``o_done`` 4 × (words + 2) + 1 cycles; words = length // 8 + 1.

    Parameters
    ----------
    length : int
        Bytes of the message, 0 to 255.

    Members
    -------
    i_start : In, 1 bit
        Takes key and message; not before ``o_done`` of the last one.
    i_key : In, 128 bits
        First byte lowest.
    i_message : In, 8 × length bits
        First byte lowest.
    o_done : Out, 1 bit
        ``o`` is there, and stands until the next start.
    o : Out, 64 bits

    Raises
    ------
    ValueError
        If ``length`` does not fit the byte that counts it.
    """

    def __init__(self, length):
        if not 0 <= length <= 255:
            raise ValueError(f"SipHash length must be from 0 to 255 bytes, not {length!r}")
        self._length = length
        super().__init__({
            "i_start": In(1),
            "i_key": In(128),
            "i_message": In(8 * length),
            "o_done": Out(1),
            "o": Out(64),
        })

    def elaborate(self, platform):
        m = Module()
        words = self._length // _WORD + 1
        padded = Cat(self.i_message, Const(0, 64 * words - 8 * self._length - 8),
                     Const(self._length, 8))
        rounds = _COMPRESSION * words + _FINALIZATION

        state, left = Signal(_State), Signal(64 * words)    # what is left of the message
        done, count = Signal(), Signal(range(rounds))
        v = [Signal(64, name=f"v{number}") for number in range(4)]
        word, following = left[:64], Signal(64)
        m.d.comb += following.eq(left[64:128] if words > 1 else 0)

        def half(a, b, c, d, first, second):
            """``a`` += ``b``, ``c`` += ``d``; the added ones are turned and joined."""
            added, other = (a + b)[:64], (c + d)[:64]
            m.d.sync += [a.eq(added), b.eq(b.rotate_left(first) ^ added),
                         c.eq(other), d.eq(d.rotate_left(second) ^ other)]
            return added, other

        with m.Switch(state):
            with m.Case(_State.FIRST):
                added, other = half(v[0], v[1], v[2], v[3], 13, 16)
                m.d.sync += [v[0].eq(added.rotate_left(32)), state.eq(_State.SECOND)]
            with m.Case(_State.SECOND):
                added, other = half(v[2], v[1], v[0], v[3], 17, 21)
                m.d.sync += [v[2].eq(added.rotate_left(32)), state.eq(_State.FIRST),
                             count.eq(count + 1)]
                with m.If(count[0] & (count < _COMPRESSION * words)):
                    # a word is done: it goes into v0, the next one into v3
                    turned = (v[3].rotate_left(21) ^ other)
                    m.d.sync += [v[0].eq(other ^ word), left.eq(left >> 64)]
                    with m.If(count == _COMPRESSION * words - 1):
                        m.d.sync += v[2].eq(added.rotate_left(32) ^ 0xff)
                    with m.Else():
                        m.d.sync += v[3].eq(turned ^ following)
                with m.If(count == rounds - 1):
                    m.d.sync += [state.eq(_State.IDLE), done.eq(1)]
        with m.If(self.i_start):
            low, high = self.i_key[:64], self.i_key[64:]
            m.d.sync += [
                v[0].eq(low ^ _INITIAL[0]), v[1].eq(high ^ _INITIAL[1]),
                v[2].eq(low ^ _INITIAL[2]), v[3].eq(high ^ _INITIAL[3] ^ padded[:64]),
                left.eq(padded), count.eq(0), done.eq(0), state.eq(_State.FIRST),
            ]
        m.d.comb += [self.o_done.eq(done), self.o.eq(v[0] ^ v[1] ^ v[2] ^ v[3])]
        return m
