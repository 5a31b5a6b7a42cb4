"""Link fault signalling: what the other end and our own receiver say of the link."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import LOCAL_FAULT, REMOTE_FAULT, XgmiiWord, column
from tickwire.hdl.stream.packet import strobe

__all__ = ["LinkFault"]

_ENOUGH = 4         # ordered sets of one type that make a fault
_COLUMNS = 128      # columns without any that end it
_HEARTBEAT = 8      # words of the receive clock in half a period of its heartbeat


class LinkFault(wiring.Component):
    """Receive half of the reconciliation sublayer's fault signalling (IEEE 802.3-2022, 46.3.4).

    Four ordered sets of one type, with fewer than 128 columns between each and the next, put the
    link at fault; 128 columns without any end it, and four of the other type change the fault's
    type. A word has two columns; both count. Words without ``valid`` are not there.

    A local fault (the own receiver has no signal) is answered by sending Remote Fault, a remote
    fault (the other end has none) by sending idle; see
    :class:`~tickwire.hdl.mac.transmit.MacTransmit`. If the receive clock itself stands still for
    ``silence`` cycles of the core's, that is a local fault too.

    This room stands in front of the elastic crossing, which does not store such words.

    Latency: word with the deciding column → ``o_*`` 2 cycles of ``rx`` and 3 of ``sync``, ± 1
    with the phase.

    Parameters
    ----------
    silence : int
        Cycles of ``sync``, more than twice the heartbeat's half period (8 words).

    Members
    -------
    i : In, strobe(XgmiiWord), domain ``rx``
    o_up : Out, 1 bit
        The link is not at fault.
    o_local_fault, o_remote_fault : Out, 1 bit
        Which fault it is; never both.
    o_count_local_fault, o_count_remote_fault : Out, 1 bit
        A fault of this kind has begun.

    Raises
    ------
    ValueError
        If ``silence`` is too short.
    """

    def __init__(self, silence=64):
        if silence <= 2 * _HEARTBEAT:
            raise ValueError(f"LinkFault silence must be more than {2 * _HEARTBEAT} cycles, or a "
                             f"running clock may look as if it stood, not {silence!r}")
        self._silence = silence
        super().__init__({
            "i": In(strobe(XgmiiWord)),
            "o_up": Out(1, init=1),
            "o_local_fault": Out(1),
            "o_remote_fault": Out(1),
            "o_count_local_fault": Out(1),
            "o_count_remote_fault": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        fault, remote = self.watch_columns(m)
        silent = self.watch_clock(m)

        # Of one fault that follows another without a pause, `fault` stays up meanwhile, so the
        # two bits may arrive a cycle apart without the link seeming to be up.
        fault_sync, remote_sync = Signal(), Signal()
        m.submodules.fault = FFSynchronizer(fault, fault_sync)
        m.submodules.remote = FFSynchronizer(remote, remote_sync)
        local_now = silent | (fault_sync & ~remote_sync)
        remote_now = ~silent & fault_sync & remote_sync
        m.d.sync += [
            self.o_up.eq(~local_now & ~remote_now),
            self.o_local_fault.eq(local_now),
            self.o_remote_fault.eq(remote_now),
            self.o_count_local_fault.eq(local_now & ~self.o_local_fault),
            self.o_count_remote_fault.eq(remote_now & ~self.o_remote_fault),
        ]
        return m

    def watch_columns(self, m):
        """In ``rx``: (at fault, its type is remote)."""
        def register(name, width=1):
            return Signal(width, name=name, reset_less=True)

        word = self.i.payload
        halves = [(word.data[:32], word.control[:4]), (word.data[32:], word.control[4:])]
        valid = register("valid")
        says_fault = [register(f"says_fault_{half}") for half in range(2)]
        says_remote = [register(f"says_remote_{half}") for half in range(2)]
        m.d.rx += valid.eq(self.i.valid)
        for half, (octets, control) in enumerate(halves):
            (local_data, kind), (remote_data, _) = column(LOCAL_FAULT), column(REMOTE_FAULT)
            is_local = (octets == local_data) & (control == kind)
            is_remote = (octets == remote_data) & (control == kind)
            m.d.rx += [says_fault[half].eq(is_local | is_remote), says_remote[half].eq(is_remote)]

        # The state diagram of Figure 46-11, for two columns one after the other.
        fault, remote = register("fault"), register("remote")
        last_remote = register("last_remote")
        sets = register("sets", 2)          # of the last type, up to three; the next is enough
        columns = register("columns", 7)    # since the last one; 127 if there are no `sets`
        state = (fault, remote, last_remote, sets, columns)
        for half in range(2):
            state = self.after_column(m, state, says_fault[half], says_remote[half], half)
        with m.If(valid):
            for now, following in zip((fault, remote, last_remote, sets, columns), state,
                                      strict=True):
                m.d.rx += now.eq(following)
        return fault, remote

    def after_column(self, m, state, says_fault, says_remote, half):
        fault, remote, last_remote, sets, columns = state
        following = [Signal.like(value, name=f"{name}_after_{half}")
                     for name, value in (("fault", fault), ("remote", remote),
                                         ("last_remote", last_remote), ("sets", sets),
                                         ("columns", columns))]
        next_fault, next_remote, next_last, next_sets, next_columns = following
        m.d.comb += [after.eq(before) for after, before in zip(following, state, strict=True)]
        same = (sets != 0) & (last_remote == says_remote)
        with m.If(says_fault):
            m.d.comb += [
                next_columns.eq(0),
                next_last.eq(says_remote),
                next_sets.eq(Mux(same, Mux(sets == _ENOUGH - 1, sets, sets + 1), 1)),
            ]
            with m.If(same & (sets == _ENOUGH - 1)):
                m.d.comb += [next_fault.eq(1), next_remote.eq(says_remote)]
        with m.Elif(columns == _COLUMNS - 1):
            m.d.comb += [next_fault.eq(0), next_sets.eq(0)]
        with m.Else():
            m.d.comb += next_columns.eq(columns + 1)
        return following

    def watch_clock(self, m):
        """In ``sync``: the receive clock stands still."""
        beat = Signal(range(2 * _HEARTBEAT), reset_less=True)
        m.d.rx += beat.eq(beat + 1)
        beat_sync, beat_before = Signal(), Signal()
        m.submodules.heartbeat = FFSynchronizer(beat[-1], beat_sync)
        m.d.sync += beat_before.eq(beat_sync)
        left = Signal(range(self._silence + 1), init=self._silence)
        silent = Signal()
        m.d.comb += silent.eq(left == 0)
        with m.If(beat_sync != beat_before):
            m.d.sync += left.eq(self._silence)
        with m.Elif(~silent):
            m.d.sync += left.eq(left - 1)
        return silent
