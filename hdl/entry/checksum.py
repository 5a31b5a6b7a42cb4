"""The TCP checksum of an order whose price is known last."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.event import Side

__all__ = ["OrderHoles", "OrderChecksum", "swap"]


class OrderHoles(data.Struct):
    """What fills the holes of an order frame, but for instrument, price and checksum.

    Names are those of :class:`tickwire.hdl.wire.order_template.Hole`. ``new`` says that the
    message has price, quantity and side at all.
    """

    new: 1
    sequence: 32
    acknowledgement: 32
    window: 16
    venue_sequence: 64
    last_processed: 64
    send_time: 64
    client_id: 64
    quantity: 32
    side: Side


def swap(value):
    """``value`` with its bytes reversed: network byte order into lane order, and back."""
    return Cat(value[at:at + 8] for at in reversed(range(0, len(value), 8)))


def _words(value):
    return [value[at:at + 16] for at in range(0, len(value), 16)]


def _add_with_carry_around(value):
    """A number of 17 to 31 bits to the 16 bits of the same one's-complement sum.

    Both possible results are there before the carry is, which then only selects.
    """
    low, high = value[:16], value[16:]
    plain = (low + high)[:17]
    return Mux(plain[16], (low + high + 1)[:16], plain[:16])


class OrderChecksum(wiring.Component):
    """One's-complement sum (RFC 1071) over all holes and the template's constant part.

    The sum does not depend on byte order (RFC 1071, 2 (B)), so words are taken in lane order, the
    byte that leaves first less significant. Network-order fields are swapped before.
    A hole at an even byte has its words where the checksum's are.

    Nothing starts it: it follows its inputs. The holes must stand from cycle t to the end of the
    frame, the instrument and the constant part from t + 1. The price must not come before t + 3.

    Latency: ``i_price_valid`` → ``o`` 2 cycles; holes → ``o`` 5 cycles.

    Members
    -------
    i_holes : :class:`OrderHoles`
    i_instrument : 64 bits
    i_constant : 16 bits
        See :mod:`tickwire.hdl.wire.order_template`; lane order.
    i_price_valid, i_price : 1 bit, signed 64 bits
        The price, there for this cycle; 0 if the message has none.
    o : 16 bits
        The checksum in lane order.
    """

    i_holes: In(OrderHoles)
    i_instrument: In(64)
    i_constant: In(16)
    i_price_valid: In(1)
    i_price: In(signed(64))
    o: Out(16)

    def elaborate(self, platform):
        m = Module()
        holes = self.i_holes

        def total(name, terms):
            """Register with the sum of at most four numbers: two adders deep."""
            half = (len(terms) + 1) // 2
            value = sum(terms[:half]) + sum(terms[half:])
            register = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += register.eq(value)
            return register

        # t: each sum has four words. The client id is in the message twice.
        new = holes.new.replicate(16)
        header = total("header", [
            *_words(swap(holes.sequence)), *_words(swap(holes.acknowledgement))])
        venue_sequence = total("venue_sequence", _words(holes.venue_sequence))
        last_processed = total("last_processed", _words(holes.last_processed))
        send_time = total("send_time", _words(holes.send_time))
        client_id = total("client_id", _words(holes.client_id))
        # In lane order the side's byte, 1 or -1, is the lower one of its word.
        side = Mux(holes.side == Side.BID, 0x01, 0xFF) & new[:8]
        rest = total("rest", [
            swap(holes.window), *(word & new for word in _words(holes.quantity)), side])

        # t + 1
        session = total("session", [header, venue_sequence, last_processed, send_time])
        order = total("order", [client_id << 1, rest, self.i_constant])
        instrument = total("instrument", _words(self.i_instrument))

        # t + 2, t + 3
        all_but_price = total("all_but_price", [session, order, instrument])
        folded = Signal(16, reset_less=True)
        m.d.sync += folded.eq(_add_with_carry_around(all_but_price))

        # with the price, and the cycle after it
        price = Signal(18, reset_less=True)
        with m.If(self.i_price_valid):
            words = _words(self.i_price.as_unsigned())
            m.d.sync += price.eq((words[0] + words[1]) + (words[2] + words[3]))
        m.d.sync += self.o.eq(~_add_with_carry_around((price + folded)[:19]))
        return m
