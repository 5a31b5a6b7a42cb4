"""A small TCP in plain Python, written from RFC 9293 alone: the other side of a TcpControl.

It acknowledges every segment, sends all that is not acknowledged again after a while, splits its
bytes as it likes and takes at most ``window`` bytes at once. One connection; it can listen or ask.
"""

MASK = (1 << 32) - 1


def after(a, b):
    """``a`` comes after ``b`` (3.4)."""
    return 0 < (a - b) & MASK < 1 << 31


class PlainPeer:
    """Fits a Channel: ``taken``, ``match`` and ``hear``; ``step`` once a cycle."""

    def __init__(self, rng, text, *, address, end, iss, window=1500, patience=700):
        self.rng, self.text, self.end, self.window = rng, text, end, window
        self.settings, self.binds, self.arriving, self.sent = {"address": address}, [], [], []
        self.iss, self.una, self.next = iss, iss, iss
        self.patience, self.waited, self.cycle = patience, 0, 0
        self.state, self.expected, self.heard = "LISTEN", None, bytearray()
        self.mss, self.room, self.closing, self.peer_closed = 536, 0, False, False

    def taken(self):
        sent, self.sent = self.sent, []
        return sent

    def match(self, row):
        return 0, 1

    def connect(self):
        self.state = "SYN-SENT"
        self.put(self.iss, "S")
        self.next = self.iss + 1 & MASK

    def put(self, seq, flags, data=b""):
        self.sent.append({"seq": seq, "ack": self.expected or 0, "flags": flags,
                          "window": self.window, "mss": 1000 if "S" in flags else None,
                          "data": data, "session": 0, "end": self.end, "resend": 0, "stray": 0})

    def first(self):
        """Sequence number of the first byte of the text."""
        return self.iss + 1 & MASK

    def fin(self):
        return self.first() + len(self.text) & MASK

    def step(self):
        self.cycle += 1
        self.waited += 1
        if self.waited > self.patience and self.una != self.next:
            self.waited = 0             # all of it again
            if self.state == "SYN-SENT":
                self.put(self.iss, "S")
            elif self.state == "SYN-RECEIVED":
                self.put(self.iss, "SA")
            else:
                self.next = self.una
        if self.state == "ESTABLISHED" and self.rng.random() < 0.05:
            self.talk()

    def talk(self):
        at = self.next - self.first() & MASK
        space = self.room - (self.next - self.una & MASK)
        data = self.text[at:at + max(0, min(space, self.mss, self.rng.choice((1, 9, 200, 1000))))]
        if self.una == self.next:
            self.waited = 0
        if data:
            self.put(self.next, "PA", data)
            self.next = self.next + len(data) & MASK
        elif self.closing and self.next == self.fin():
            self.put(self.next, "FA")
            self.next = self.next + 1 & MASK

    def hear(self, seq, flags, *, ack, window, data, mss, session, matched, **end):
        if "R" in flags:
            assert self.state != "ESTABLISHED", "a reset of a good connection"
            return
        if "S" in flags:
            if self.state in ("LISTEN", "SYN-SENT") and ("A" in flags) == (self.state != "LISTEN"):
                assert mss is not None
                self.mss = min(1000, mss)
                self.expected = seq + 1 & MASK
                if self.state == "LISTEN":
                    self.state = "SYN-RECEIVED"
                    self.put(self.iss, "SA")
                    self.next = self.first()
                    return
                assert ack == self.first()
                self.state, self.una, self.room = "ESTABLISHED", ack, window
            if self.state == "ESTABLISHED":
                self.put(self.next, "A")
            elif self.state == "SYN-RECEIVED":
                self.put(self.iss, "SA")
            return
        assert mss is None and "A" in flags, "only a SYN has the option, every other one ACK"
        assert not after(ack, self.fin() + 1 & MASK), "never sent"
        if self.expected is None:
            return
        if self.state == "SYN-RECEIVED" and ack == self.first():
            self.state, self.una = "ESTABLISHED", ack
        if after(ack, self.una):
            self.una, self.waited = ack, 0
            if after(ack, self.next):
                self.next = ack
        if not after(self.una, ack):
            self.room = window
        old = self.expected - seq & MASK
        space = len(data) + ("F" in flags)
        if old < 1 << 31 and old < space and not self.peer_closed:
            fresh = data[old:]
            assert len(fresh) <= self.window, "beyond the window"
            self.heard += fresh
            self.expected = self.expected + space - old & MASK
            self.peer_closed = "F" in flags
        if space or old:
            self.put(self.next, "A")        # also for what comes too early or again
