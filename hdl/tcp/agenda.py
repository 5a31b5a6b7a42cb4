"""Whose turn it is to be visited, and why."""

from amaranth.hdl import Signal
from tickwire.hdl.tcp.connection import CommandKind
from tickwire.hdl.tcp.segment import SESSION_BITS
from tickwire.hdl.tcp.visit import Task

__all__ = ["choose"]


def choose(m, ports, visit, sessions, idle):
    """Takes the next task while ``idle``; gives its session, and whether there is one.

    Segments go first, but after one of them another task has a turn, so a flood of segments does
    not stop the clock; nor does a short tick stop the host.
    """
    due, scanning, at = Signal(), Signal(), Signal(SESSION_BITS)
    departed, going = Signal(sessions), Signal(sessions)    # something new of theirs has left
    gone, chosen, takes = Signal(SESSION_BITS), Signal(SESSION_BITS), Signal()
    others_first, calls_first = Signal(), Signal()
    for index in reversed(range(sessions)):
        with m.If(departed[index]):
            m.d.comb += gone.eq(index)
    m.d.sync += departed.eq(departed & ~going | ports.i_new)
    with m.If(ports.i_tick):
        m.d.sync += due.eq(1)
    with m.If(~scanning & due):
        m.d.sync += [scanning.eq(1), at.eq(0), due.eq(ports.i_tick)]

    command, consumed, segment = ports.i_command, ports.i_consumed, ports.i_segment
    renews = ((command.payload.kind == CommandKind.OPEN)
              | (command.payload.kind == CommandKind.LISTEN))
    obeys = command.valid & ~(renews & (ports.i_busy >> command.payload.session)[0])
    calls = obeys | consumed.valid
    others = departed.any() | scanning | calls
    hears = segment.valid & ~ports.o_portion.valid & ~(others_first & others)
    scans = scanning & ~(calls_first & calls)

    with m.If(idle):
        m.d.comb += takes.eq(hears | others)
        with m.If(hears):
            m.d.comb += [segment.ready.eq(1), chosen.eq(segment.payload.session)]
            m.d.sync += [visit.task.eq(Task.SEGMENT), visit.segment.eq(segment.payload)]
        with m.Elif(departed.any()):
            m.d.comb += [chosen.eq(gone), going.eq(1 << gone)]
            m.d.sync += visit.task.eq(Task.SENT)
        with m.Elif(scans):
            m.d.comb += chosen.eq(at)
            m.d.sync += [visit.task.eq(Task.TICK), at.eq(at + 1), scanning.eq(at != sessions - 1),
                         calls_first.eq(1)]
        with m.Elif(consumed.valid):
            m.d.comb += [consumed.ready.eq(1), chosen.eq(consumed.payload.session)]
            m.d.sync += [visit.task.eq(Task.CONSUMED), visit.consumed.eq(consumed.payload),
                         calls_first.eq(0)]
        with m.Elif(obeys):
            m.d.comb += [command.ready.eq(1), chosen.eq(command.payload.session)]
            m.d.sync += [visit.task.eq(Task.COMMAND), visit.command.eq(command.payload),
                         calls_first.eq(0)]
        with m.If(takes):
            m.d.sync += [visit.session.eq(chosen), others_first.eq(hears)]
    return chosen, takes
