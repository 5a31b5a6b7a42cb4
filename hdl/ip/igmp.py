"""Membership in multicast groups: reports on joining, on leaving, and on being asked."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.wire import igmp

__all__ = ["GroupCommand", "IgmpMessage", "ReportKind", "IgmpHost"]

_REPEATS = 1                    # robustness 2 (RFC 3376, 8.1 and 8.11)
_V1_DELAY = 6                   # bits: 64 ticks of the 10 s (RFC 2236, 4)
_UNSOLICITED = 6, 3             # bits: of 10 s (RFC 2236, 8.10), of 1 s (RFC 3376, 8.11)
_DELAY_BITS = 14                # RFC 3376, 4.1.1: up to 31,744 ticks


class GroupCommand(data.Struct):
    """What the host wants: to be a member of ``group`` from now on, or no longer."""

    group: 32
    join: 1


class IgmpMessage(data.Struct):
    """A message that came in. ``group`` 0: a query for all groups."""

    type: 8
    code: 8
    group: 32
    v3: 1


class ReportKind(enum.Enum, shape=2):
    """Which frame a report is."""

    V3 = 0
    REPORT = 1
    LEAVE = 2


class _Task(enum.Enum, shape=2):
    TICK = 0
    COMMAND = 1
    MESSAGE = 2


class _State(enum.Enum, shape=3):
    IDLE = 0
    BEGIN = 1
    READ = 2        # a row comes out of the memory
    CHECK = 3       # it is looked at, and written back
    INSERT = 4      # a new group gets its row


class _Row(data.Struct):
    group: 32
    used: 1
    leaving: 1
    change: 1           # what is to be reported is news
    active: 1           # the delay runs
    repeats: 1
    delay: _DELAY_BITS  # ticks until the report


class IgmpHost(wiring.Component):
    """Host side of IGMPv3 (RFC 3376) for members without source filters, with fallback to version
    2 (RFC 2236) and 1 (RFC 1112) while a querier of that version is there.

    Each group has a delay of its own, so answers to a general query are spread over time and each
    report is about one group (RFC 3376, 5.2). A query for sources is answered as one for the
    group. The pseudo-random delay is below the largest power of two that is not above the
    maximum response time. In versions 1 and 2 another member's report silences ours.

    The memory is empty when the device is configured; reset does not clear it.

    Latency: a tick, a command or a message takes 2 × rows + 2 cycles, one more if a group is
    entered, and as long as it waits for ``i_reported``. The report on joining or leaving is
    offered in the next tick; that of row 0 is 4 cycles after it.

    Parameters
    ----------
    rows : int
        Groups: a power of two, 2 to 64.
    querier_present : int
        Ticks for which a querier of an older version is believed to be there; by default
        2 × 125 s + 10 s (RFC 3376, 8.12).

    Members
    -------
    i_tick : In, 1 bit
        Every 100 ms, the unit of IGMP's response times.
    i_salt : In, 16 bits
        Makes two gateways' delays differ: bits of the MAC address.
    i_command : In, strobe(GroupCommand)
        Only while ``o_command_free``.
    o_command_free : Out, 1 bit
    i_message : In, strobe(IgmpMessage)
        Only while ``o_message_free``.
    o_message_free : Out, 1 bit
    o_report : Out, 1 bit
        A report of ``o_kind`` with ``o_code`` about ``o_group`` is to be sent; stands until
        ``i_reported``.
    i_reported : In, 1 bit
    o_kind : Out, ReportKind
    o_code : Out, 8 bits
        Version 3: record type; else the message's type.
    o_group : Out, 32 bits
    o_count_full : Out, 1 bit
        A group was refused: no row is free.

    Raises
    ------
    ValueError
        If ``rows`` is not supported.
    """

    def __init__(self, rows=16, querier_present=2600):
        if not 2 <= rows <= 64 or rows & (rows - 1):
            raise ValueError(f"IgmpHost rows must be a power of two from 2 to 64, not {rows!r}")
        self._rows = rows
        self._querier_present = querier_present
        super().__init__({
            "i_tick": In(1),
            "i_salt": In(16),
            "i_command": In(strobe(GroupCommand)),
            "o_command_free": Out(1),
            "i_message": In(strobe(IgmpMessage)),
            "o_message_free": Out(1),
            "o_report": Out(1),
            "i_reported": In(1),
            "o_kind": Out(ReportKind),
            "o_code": Out(8),
            "o_group": Out(32),
            "o_count_full": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Memory(shape=_Row, depth=self._rows, init=[],
                                            attrs={"ram_style": "distributed"})
        read, write = table.read_port(domain="comb"), table.write_port()
        state, task = Signal(_State), Signal(_Task)
        index, free = Signal(range(self._rows)), Signal(range(self._rows))
        has_free, matched = Signal(), Signal()
        row, after = Signal(_Row), Signal(_Row)

        # What is to be done
        due, has_command, has_message = Signal(), Signal(), Signal()
        command, message = Signal(GroupCommand), Signal(IgmpMessage)
        m.d.comb += [self.o_command_free.eq(~has_command), self.o_message_free.eq(~has_message)]
        with m.If(self.i_tick):
            m.d.sync += due.eq(1)
        with m.If(self.i_command.valid):
            m.d.sync += [command.eq(self.i_command.payload), has_command.eq(1)]
        with m.If(self.i_message.valid):
            m.d.sync += [message.eq(self.i_message.payload), has_message.eq(1)]
        is_query = message.type == igmp.MEMBERSHIP_QUERY
        is_report = (message.type == igmp.V1_REPORT) | (message.type == igmp.V2_REPORT)

        # Queriers of older versions (RFC 3376, 7.2.1). With the mode all that was pending ends.
        present = [Signal(range(self._querier_present + 1), name=f"v{version}_present")
                   for version in (1, 2)]
        v1, v2 = present[0] != 0, (present[0] == 0) & (present[1] != 0)
        mode, mode_before, mode_changed = Signal(2), Signal(2), Signal()
        m.d.comb += mode.eq(Cat(v1, v2))        # 0: version 3

        drawn = Signal(_DELAY_BITS)
        bits = Signal(range(_DELAY_BITS + 1))
        m.d.comb += bits.eq(Mux(task == _Task.MESSAGE, self._response_bits(m, message),
                                Mux(mode.any(), *_UNSOLICITED)))
        noise = Signal(16, init=0xACE1)         # a register with feedback, period 2^16 - 1
        m.d.sync += noise.eq(Cat(noise[15] ^ noise[13] ^ noise[12] ^ noise[10], noise[:15]))

        proceeds, writes = Signal(), Signal()
        wanted = Mux(task == _Task.COMMAND, command.group, message.group)
        same, member = Signal(), Signal()
        m.d.comb += [
            read.addr.eq(index),
            write.addr.eq(Mux(state == _State.INSERT, free, index)),
            write.data.eq(after),
            write.en.eq(writes),
            same.eq(row.used & (row.group == wanted)),
            member.eq(row.used & ~row.leaving),
        ]

        def pending(record, repeats):
            return [record.active.eq(1), record.change.eq(1), record.delay.eq(0),
                    record.repeats.eq(repeats)]

        def ended(record):
            """Nothing is to be reported any more; who was leaving has left."""
            return [record.active.eq(0), record.change.eq(0), record.repeats.eq(0),
                    record.leaving.eq(0), record.used.eq(member)]

        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += [index.eq(0), has_free.eq(0), matched.eq(0)]
                with m.If(due):
                    m.d.sync += [task.eq(_Task.TICK), due.eq(self.i_tick)]
                    for timer in present:
                        with m.If(timer != 0):
                            m.d.sync += timer.eq(timer - 1)
                with m.Elif(has_command):
                    m.d.sync += task.eq(_Task.COMMAND)
                with m.Elif(has_message):
                    m.d.sync += task.eq(_Task.MESSAGE)
                    with m.If(is_query & ~message.v3):
                        with m.If(message.code == 0):
                            m.d.sync += present[0].eq(self._querier_present)
                        with m.Else():
                            m.d.sync += present[1].eq(self._querier_present)
                with m.If(due | has_command | has_message):
                    m.d.sync += state.eq(_State.BEGIN)
            with m.Case(_State.BEGIN):
                m.d.sync += [mode_changed.eq(mode != mode_before), mode_before.eq(mode),
                             state.eq(_State.READ)]
            with m.Case(_State.READ):
                m.d.sync += [
                    row.eq(read.data),
                    drawn.eq((noise ^ self.i_salt) & Cat(bits > place
                                                         for place in range(_DELAY_BITS))),
                    state.eq(_State.CHECK),
                ]
            with m.Case(_State.CHECK):
                m.d.comb += [after.eq(row), proceeds.eq(1), writes.eq(proceeds)]
                with m.If(~row.used):
                    m.d.sync += [free.eq(index), has_free.eq(1)]
                with m.If(mode_changed):
                    m.d.comb += ended(after)
                with m.If(task == _Task.TICK):
                    with m.If(row.active & (row.delay != 0) & ~mode_changed):
                        m.d.comb += after.delay.eq(row.delay - 1)
                    with m.Elif(row.active & ~mode_changed):
                        with m.If(v1 & row.leaving):    # version 1 has no message for that
                            m.d.comb += ended(after)
                        with m.Else():
                            m.d.comb += [self.o_report.eq(1), proceeds.eq(self.i_reported)]
                            with m.If(row.repeats & ~(mode.any() & row.leaving)):
                                m.d.comb += [after.repeats.eq(0), after.delay.eq(drawn)]
                            with m.Else():
                                m.d.comb += ended(after)
                with m.If(task == _Task.COMMAND), m.If(same):
                    m.d.sync += matched.eq(1)
                    with m.If(command.join == row.leaving):
                        m.d.comb += [after.leaving.eq(~command.join),
                                     *pending(after, _REPEATS)]
                with m.If(task == _Task.MESSAGE):
                    asked = is_query & member & (same | (message.group == 0))
                    sooner = ~row.active | mode_changed | (drawn < row.delay)
                    with m.If(asked & sooner):
                        m.d.comb += [after.active.eq(1), after.delay.eq(drawn)]
                    with m.If(is_report & mode.any() & member & same):
                        m.d.comb += ended(after)
                with m.If(proceeds):
                    m.d.sync += [index.eq(index + 1), state.eq(_State.READ)]
                    with m.If(index == self._rows - 1):
                        m.d.sync += state.eq(_State.IDLE)
                        with m.If(task == _Task.COMMAND):
                            with m.If(command.join & ~matched & ~same):
                                m.d.sync += state.eq(_State.INSERT)
                            with m.Else():
                                m.d.sync += has_command.eq(0)
                        with m.If(task == _Task.MESSAGE):
                            m.d.sync += has_message.eq(0)
            with m.Case(_State.INSERT):
                m.d.comb += [after.group.eq(command.group), after.used.eq(1),
                             *pending(after, _REPEATS), writes.eq(has_free),
                             self.o_count_full.eq(~has_free)]
                m.d.sync += [has_command.eq(0), state.eq(_State.IDLE)]

        m.d.comb += [
            self.o_group.eq(row.group),
            self.o_code.eq(Mux(row.change, Mux(row.leaving, igmp.CHANGE_TO_INCLUDE,
                                               igmp.CHANGE_TO_EXCLUDE), igmp.MODE_IS_EXCLUDE)),
            self.o_kind.eq(ReportKind.V3),
        ]
        with m.If(mode.any()):
            m.d.comb += [
                self.o_code.eq(Mux(v1, igmp.V1_REPORT, igmp.V2_REPORT)),
                self.o_kind.eq(Mux(row.leaving, ReportKind.LEAVE, ReportKind.REPORT)),
            ]
        return m

    @staticmethod
    def _response_bits(m, message):
        """Logarithm of the largest power of two that is not above the maximum response time."""
        bits = Signal(range(_DELAY_BITS + 1))
        code = message.code
        with m.If(code[7]):
            # RFC 3376, 4.1.1: 4 bits of mantissa below a one, 3 of exponent; else a plain number.
            m.d.comb += bits.eq(7 + Mux(message.v3, code[4:7], 0))
        with m.Elif(code == 0):
            m.d.comb += bits.eq(Mux(message.v3, 0, _V1_DELAY))
        with m.Else():
            for bit in range(7):
                with m.If(code[bit]):
                    m.d.comb += bits.eq(bit)
        return bits
