"""A machine that answers as a perfect gateware would, made of the golden model; and can fail."""

import struct
from collections import Counter, defaultdict

import numpy as np
from tickwire.gateware.records import BOOK, ORDER, RECORDS, TICKER
from tickwire.gateware.vocabulary import Reason
from tickwire.sim.branch import branch
from tickwire.sim.event_records import dtype_of, float_to_key
from tickwire.sim.models.decisions import decide, price_units
from tickwire.sim.models.deribit import parse_datagram, udp_payload
from tickwire.sim.models.deribit_books import ASK, BID, Books
from tickwire.sim.rewrite import internet_checksum
from tickwire.sim.wire_words import WireFrame, WordReader

LATENCY = {("after_fcs", "ticker"): 9, ("after_fcs", "book"): 9, ("cut_through", "ticker"): 8,
           ("cut_through", "book"): 9}
VENUE_OFFSET = 100_000


def order_frame(number, instrument, price, quantity, side):
    body = struct.pack("<qqqqqbqbqbbHb", number, 0, instrument, price, quantity, 0, quantity, 0,
                       0, side, -2, 0, 0)
    payload = struct.pack("<BBHHHqqq", 0xDB, 0, 32 + len(body), 100, 16, number, 0, 0) + body
    payload += bytes(-len(payload) % 8)
    source, target = bytes((10, 0, 0, 2)), bytes((10, 0, 0, 3))
    tcp = struct.pack(">HHIIBBHHH", 40000, 9000, 1 + 96 * (number - 1), 1, 0x50, 0x18, 8192, 0, 0)
    pseudo = source + target + struct.pack(">HH", 6, len(tcp) + len(payload))
    tcp = tcp[:16] + struct.pack(">H", internet_checksum(pseudo + tcp + payload)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), number, 0x4000, 64, 6, 0)
    ip += source + target
    ip = ip[:10] + struct.pack(">H", internet_checksum(ip)) + ip[12:]
    return bytes.fromhex("020000000003020000000002") + b"\x08\x00" + ip + tcp + payload


class FakeMachine:
    """``break_level``: from this packet on each update gets the best bid's amount wrong."""

    engine = "golden"

    def __init__(self, *, break_level=None, jitter=0, drop_ticker=None):
        self.cycles = 0
        self.break_level, self.jitter, self.drop_ticker = break_level, jitter, drop_ticker
        self.reader = WordReader()
        self.books = Books(on_update=self._update, on_start=self._update)
        self.packet = 0
        self.records, self.sent_frames = [], []
        self.count = Counter({"RX_GOOD": 0, "RX_FCS_ERROR": 0, "FEED_GAP": 0})
        self.sequence = 0
        self.read = 0

    def configure(self, plan, rules, options):
        self.plan, self.options = plan, options
        self.orders = defaultdict(list)
        for decision in decide(plan.capture.packets(), rules):
            self.orders[decision.packet].append(decision)
        self.sent = 0
        self.cycles += 5000

    def run(self, data, control, skips):
        at = 0
        for index, _ in [*skips.tolist(), [len(data), 0]]:
            for frame in self.reader.feed(data[at:index], control[at:index], self.cycles):
                self._frame(frame)
            self.cycles += index - at + (index < len(data))
            at = index

    def idle(self, cycles):
        self.cycles += cycles

    def take_frames(self):
        frames, self.sent_frames = self.sent_frames, []
        return frames

    def take_records(self):
        raw, self.records = b"".join(self.records), []
        return np.frombuffer(raw, dtype=np.uint8)

    def levels(self, index):
        self.read += 1
        book = next(book for key, book in self.books.books.items()
                    if self.plan.index_of[key] == index)
        return book.levels(ASK), book.levels(BID)

    def stale(self):
        return []

    def counters(self):
        return self.count

    def venue_instruments(self):
        return {one: one + VENUE_OFFSET for one in self.plan.index_of}

    branch = staticmethod(branch)

    # What the gateware would do.

    def _frame(self, frame):
        self.packet += 1
        self.count["RX_GOOD"] += 1
        self.end = frame.end_cycle
        start = frame.start_cycle * 8 + frame.lane + 8
        datagram = parse_datagram(udp_payload(frame.data)[3])
        for message in datagram.messages:
            self.count["MESSAGES_" + (message.name.upper() if message.template in (
                1001, 1002, 1003, 1004) else "OTHER")] += 1
            if message.template == 1003 and self.packet != self.drop_ticker:
                f = message.fields
                self._record(TICKER, f["instrumentId"], timestamp=f["timestampMs"],
                             **self._touch(f["bestBidPrice"], f["bestBidAmount"],
                                           f["bestAskPrice"], f["bestAskAmount"]))
        self.books.datagram(self.packet, datagram)
        self.count["BOOK_LEVEL_CHANGES"] = self.books.level_changes
        self.count["BOOK_UPDATES"] = self.books.updates
        for decision in self.orders.get(self.packet, ()):
            self._order(decision, (start + decision.field_end) // 8)

    def _touch(self, bid, bid_amount, ask, ask_amount):
        keys = float_to_key([bid, ask]).tolist()
        bits = np.array([bid_amount, ask_amount]).view(np.uint64).tolist()
        return {"bid_price": keys[0], "ask_price": keys[1], "bid_amount": bits[0],
                "ask_amount": bits[1], "flags": 1 | 2 * bool(bid_amount) | 4 * bool(ask_amount)}

    def _update(self, packet, message, book):
        if self.break_level is not None and packet >= self.break_level and book.sides[BID]:
            book.sides[BID][max(book.sides[BID])] += 1.0
        self._record(BOOK, message.fields["instrumentId"], change_id=book.change_id,
                     timestamp=message.fields["timestampMs"], **self._touch(*book.touch()))

    def _order(self, decision, field_word):
        policy = self.options.policy
        self.sent += 1
        latency = LATENCY[policy, decision.trigger] + (self.sent % 2) * self.jitter
        origin = self.end if policy == "after_fcs" else field_word
        preamble = origin + latency
        data = order_frame(
            self.sent, decision.instrument_id + VENUE_OFFSET, price_units(decision.price),
            decision.quantity, 1 if decision.side == "buy" else -1)
        self.sent_frames.append(WireFrame(
            start_cycle=preamble, end_cycle=preamble + 1 + (len(data) + 4) // 8, lane=0, data=data,
            fcs_good=True, intact=True, gap=None))
        self._record(ORDER, decision.instrument_id, timestamp=decision.timestamp_ms,
                     price=int(float_to_key(decision.price)), client_id=self.sent,
                     quantity=decision.quantity, stamp=field_word & 0xFFFF,
                     decided=(field_word + 5) & 0xFFFF, frame_end=self.end & 0xFFFF,
                     released=(origin + 6) & 0xFFFF, preamble=preamble & 0xFFFF,
                     side=0 if decision.side == "buy" else 1, reason=Reason.PASSED)

    def _record(self, kind, instrument_id, **fields):
        row = np.zeros(1, dtype=dtype_of(kind))
        for name, value in fields.items():
            row[name] = value
        row["kind"], row["sequence"] = kind.number, self.sequence
        row["instrument"] = self.plan.index_of[instrument_id]
        if "frame" in row.dtype.fields:
            row["frame"] = self.packet
        self.sequence += 1
        self.records.append(row.tobytes())


assert [record.name for record in RECORDS] == ["BOOK", "TICKER", "ORDER"]
