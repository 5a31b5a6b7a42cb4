"""What stands around a TcpControl in its tests: receiver, transmitter, buffers and host, as models.

A segment on the wire is a dict: seq, ack, flags (a string of F S R P A), window, mss (None without
the option), data, session (of whoever sent it), end.
"""

import random

from amaranth.hdl import Cat, Module, Signal
from tickwire.hdl.tcp.connection import Event, RefusalReason
from tickwire.hdl.tcp.control import TcpControl
from tickwire.hdl.tcp.parameters import TcpParameters

MASK = (1 << 32) - 1
BITS = {"F": "fin", "S": "syn", "R": "rst", "P": "psh", "A": "ack"}
OUR_PORT, PEER_PORT, PEER = 7000, 41000, 0x0a000002
ROOM = 2048

# Times in which little is simulated
QUICK = TcpParameters(sessions=2, initial_rto=10, least_rto=4, most_rto=64, two_msl=20,
                      keep_alive_interval=5, keep_alive_probes=3, challenges=3,
                      challenge_period=50, isn_period=11)


def end(port=PEER_PORT, *, address=PEER, local_port=OUR_PORT, mac=0x020000000002):
    return {"mac": mac, "address": address, "port": port, "local_port": local_port}


class Engine:
    """A TcpControl with models around it: ``drive`` and ``look`` once a cycle."""

    def __init__(self, parameters=None, *, seed=1, tick=0, eager=False, settings=None,
                 consume=True, local=0x0a000001):
        self.parameters = parameters or TcpParameters(sessions=2)
        self.dut = TcpControl(self.parameters)
        self.rng = random.Random(seed)
        self.eager = eager              # never pauses
        self.tick_length, self.cycles = tick, 0
        self.settings = {"address": local, "secret": 0x0f0e0d0c0b0a09080706050403020100,
                         "keep_alive": 0, "user_timeout": 1000, "syn_timeout": 2000,
                         "delayed_ack": 0} | (settings or {})
        self.consume, self.blocked, self.fails = consume, False, 0.0
        self.commands, self.messages, self.arriving, self.payload = [], [], [], []
        self.consumed, self.orders = [], []
        self.sent, self.events, self.refusals, self.binds, self.releases = [], [], [], [], []
        self.delivered, self.frames = {}, []
        self.records = {}               # of a session: [sequence, data]
        self.flying = None              # frame on the wire: [cycles left, segment, kind]
        self.job = None
        self.limited = self.untimely = self.ticks = 0
        self.ticks_wanted = 0
        self.data_session = None
        self.log = []                   # (cycle, name)
        self.flags, self.values = Signal(13), {}
        self.gone = []                  # doors whose offer was taken

    # what a test does

    def command(self, kind, session=0, *, keep_alive=0, again=0, **values):
        self.commands.append({"session": session, "kind": kind, "end": end(**values),
                              "keep_alive": keep_alive, "again": again})

    def hear(self, seq, flags, *, ack=0, window=8192, data=b"", mss=None, session=0, matched=1,
             **values):
        control = {BITS[letter]: 1 for letter in flags}
        self.arriving.append(({
            "session": session, "matched": matched, "control": control, "sequence": seq & MASK,
            "acknowledgement": ack & MASK, "window": window, "mss": 536 if mss is None else mss,
            "length": len(data), "end": end(**values)}, data))

    def say(self, data, session=0):
        self.messages.append((session, data))

    def taken(self):
        sent, self.sent = self.sent, []
        return sent

    def heard_events(self):
        events, self.events = self.events, []
        return [event for _, event in events]

    def chance(self):
        return self.eager or self.rng.random() < 0.6

    def match(self, row):
        """Session of a segment, as the receiver's table has it; exact rows go first."""
        table = dict(self.binds)
        for session, bound in table.items():
            if bound["valid"] and not bound["listening"] and all(
                    bound[name] == value for name, value in row.items()):
                return session, 1
        for session, bound in table.items():
            if bound["listening"] and bound["local_port"] == row["local_port"]:
                return session, 1
        return self.rng.randrange(64), 0

    # once a cycle

    def module(self):
        """The engine, with all strobes in one signal: it is read in every cycle."""
        m, dut = Module(), self.dut
        m.submodules.dut = dut
        doors = [dut.i_segment, dut.i_payload, dut.i_command, dut.i_consumed, dut.i_message]
        m.d.comb += self.flags.eq(Cat(
            *(door.valid & door.ready for door in doors), dut.o_discard.valid, dut.o_job.valid,
            dut.o_event.valid, dut.o_bind.valid, dut.o_release.valid, dut.o_data.valid,
            dut.o_count_limited, dut.o_count_untimely))
        return m

    def start(self, ctx):
        ctx.set(self.dut.i_settings, self.settings)

    def put(self, ctx, signal, value):
        """Sets a signal if it is to change."""
        if self.values.get(id(signal)) != value:
            self.values[id(signal)] = value
            ctx.set(signal, value)

    def drive(self, ctx):
        """Inputs of this cycle."""
        dut, rng = self.dut, self.rng
        for door in self.gone:
            self.put(ctx, door.valid, 0)
            ctx.set(door.payload.as_value(), rng.getrandbits(64))   # garbage
        self.gone.clear()
        self.offer(ctx, dut.i_segment, self.arriving and self.arriving[0][0])
        self.offer(ctx, dut.i_payload, self.payload and self.payload[0])
        self.offer(ctx, dut.i_command, self.commands and self.commands[0])
        self.offer(ctx, dut.i_consumed, self.consumed and self.consumed[0])
        message = self.messages and self.messages[0]
        self.put(ctx, dut.i_message.valid, bool(message))
        if message:
            ctx.set(dut.i_message.payload, {"session": message[0], "length": len(message[1])})
            kept = sum(len(data) for _, data in self.records.get(message[0], []))
            self.put(ctx, dut.i_room, kept + len(message[1]) <= ROOM)
        self.put(ctx, dut.o_job.ready, self.job is None and not self.blocked and self.chance())
        self.put(ctx, dut.o_data.ready, self.chance())
        ticks = self.ticks_wanted > 0 or (self.tick_length
                                          and self.cycles % self.tick_length == 0)
        self.ticks_wanted = max(0, self.ticks_wanted - 1)
        self.put(ctx, dut.i_tick, ticks)
        self.ticks += ticks
        self._transmit(ctx, rng)

    def offer(self, ctx, door, value):
        """Once offered it stays."""
        if not value:
            if self.values.get(id(door.valid)):
                self.put(ctx, door.valid, 0)
            return
        if not self.values.get(id(door.valid)):
            if not self.chance():
                return
            self.put(ctx, door.valid, 1)
            ctx.set(door.payload, value)

    def _transmit(self, ctx, rng):
        """One frame on the wire; it looks at its session when it begins."""
        dut = self.dut
        self.put(ctx, dut.i_commit.valid, 0)
        self.put(ctx, dut.i_order_commit.valid, 0)
        self.put(ctx, dut.i_failed.valid, 0)
        if self.flying is None and self.orders and not self.blocked:
            session, data = self.orders.pop(0)
            ctx.set(dut.i_order_session, session)
            order = ctx.get(dut.o_order)
            left = (order.unacknowledged + order.peer_window - order.sequence) & MASK
            kept = sum(len(record) for _, record in self.records.get(session, []))
            if order.open and left < 1 << 31 and len(data) <= left and kept + len(data) <= ROOM:
                self.flying = [rng.randrange(2, 12), {
                    "seq": order.sequence, "ack": order.acknowledgement, "flags": "PA",
                    "window": order.window, "mss": None, "data": data, "session": session,
                    "end": None, "given": False, "resend": 0, "stray": 0}, "order"]
        if self.flying is None and self.job is not None and not self.blocked:
            self.flying = [0 if self.eager else rng.randrange(2, 12), self._frame(ctx), "job"]
        elif self.flying is not None:
            self.flying[0] -= 1
            if self.flying[0] <= 0:
                self._lands(ctx)

    def _frame(self, ctx):
        dut, job = self.dut, self.job
        control = job.control
        ctx.set(dut.i_view_session, job.session)
        view = ctx.get(dut.o_view)
        flags = "".join(letter for letter, name in BITS.items() if control[name])
        data = b""
        given = job.origin.value == 0
        seq = job.sequence if given else view.sequence
        if job.payload:
            assert not given
            data = self.messages[0][1]
        if job.resend:
            records = self.records.get(job.session, [])
            if not records:
                data = None         # nothing is there: no frame
            else:
                seq, data = records[0]
        return {"seq": seq, "ack": job.acknowledgement if job.stray else view.acknowledgement,
                "flags": flags, "window": 0 if job.stray else view.window,
                "mss": 1460 if job.mss else None, "data": data, "session": job.session,
                "end": {name: getattr(job.end, name) for name in
                        ("mac", "address", "port", "local_port")},
                "given": given, "resend": job.resend, "stray": job.stray}

    def _lands(self, ctx):
        dut = self.dut
        _, frame, kind = self.flying
        self.flying = None
        if kind == "job" and (frame["data"] is None or self.rng.random() < self.fails):
            self.put(ctx, dut.i_failed.valid, 1)
            self.job = None
            return
        if frame["stray"]:
            self.job = None
            self.sent.append(frame)
            return
        length = len(frame["data"]) + ("S" in frame["flags"]) + ("F" in frame["flags"])
        door = dut.i_commit if kind == "job" else dut.i_order_commit
        self.put(ctx, door.valid, 1)
        ctx.set(door.payload, {"session": frame["session"], "sequence": frame["seq"],
                               "length": length})
        if frame["data"] and not frame["resend"]:
            self.records.setdefault(frame["session"], []).append((frame["seq"], frame["data"]))
        if kind == "job":
            if self.job.payload:
                self.messages.pop(0)
            self.job = None
        self.sent.append(frame)
        self.frames.append(frame)

    def look(self, ctx):
        """Outputs of this cycle, and what was handed over in it."""
        dut, flags = self.dut, ctx.get(self.flags)
        self.cycles += 1
        if not flags:
            return
        (segment, payload, command, consumed, message, discard, job, event, bind, release, data,
         limited, untimely) = (flags >> bit & 1 for bit in range(13))
        if segment:
            head, body = self.arriving.pop(0)
            self.log.append((self.cycles, "segment"))
            if body and head["matched"]:
                self.payload += beats(body, self.rng)
            self.gone.append(dut.i_segment)
        if payload:
            self.payload.pop(0)
            self.gone.append(dut.i_payload)
        if command:
            self.commands.pop(0)
            self.log.append((self.cycles, "command"))
            self.gone.append(dut.i_command)
        if consumed:
            self.consumed.pop(0)
            self.gone.append(dut.i_consumed)
        if discard:
            refusal = ctx.get(dut.o_discard.payload)
            self.refusals.append((refusal.session, RefusalReason(refusal.reason)))
            self.log.append((self.cycles, "discard"))
        if message:
            self.messages.pop(0)
        if job:
            self.log.append((self.cycles, "job"))
            if self.values[id(dut.o_job.ready)]:
                self.job = ctx.get(dut.o_job.payload)
        if event:
            notice = ctx.get(dut.o_event.payload)
            self.events.append((notice.session, Event(notice.event)))
        if bind:
            row = ctx.get(dut.o_bind.payload)
            self.binds.append((row.index, {name: getattr(row.row, name) for name in (
                "valid", "listening", "address", "port", "local_port")}))
        if release:
            self._release(ctx.get(dut.o_release.payload))
        if data:
            self.log.append((self.cycles, "data"))
            if self.values[id(dut.o_data.ready)]:
                self._delivered(ctx.get(dut.o_data.payload), ctx.get(dut.o_data_session))
        self.limited += limited
        self.untimely += untimely

    def _release(self, release):
        self.releases.append((release.session, release.acknowledgement, release.all))
        records = self.records.setdefault(release.session, [])
        while records and (release.all or (
                release.acknowledgement - records[0][0] - len(records[0][1])) & MASK < 1 << 31):
            records.pop(0)

    def _delivered(self, beat, session):
        assert beat.begin == 0 and (beat.last or beat.end == 8) and beat.end
        data = int(beat.data).to_bytes(8, "little")[:beat.end]
        first = beat.first
        stream = self.delivered.setdefault(session, bytearray())
        assert first == (self.data_session is None)
        self.data_session = None if beat.last else session
        stream += data
        if self.consume:
            self.consumed.append({"session": session, "length": len(data)})


def beats(data, rng):
    """A payload as beats, with garbage behind its end."""
    result = []
    for at in range(0, len(data), 8):
        part = data[at:at + 8]
        result.append({"data": int.from_bytes(part + rng.randbytes(8 - len(part)), "little"),
                       "begin": 0, "end": len(part), "first": at == 0, "last": at + 8 >= len(data)})
    return result
