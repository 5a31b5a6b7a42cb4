"""Beats of whole frames, for the rooms that keep frames."""


def beats_of(octets):
    """Payloads of a packet_stream(8), lane 0 first."""
    last = (len(octets) - 1) // 8
    return [{"data": int.from_bytes(octets[8 * n:8 * n + 8], "little"), "begin": 0,
             "end": len(octets[8 * n:8 * n + 8]), "first": n == 0, "last": n == last}
            for n in range(last + 1)]


class Collector:
    """Takes frames from a packet stream, with pauses, and checks what a stream owes.

    Parameters
    ----------
    ready : float or callable
        How likely a beat is taken, or a function of the cycle that says so.
    """

    def __init__(self, port, rng, ready=1.0):
        self.port, self.rng, self.ready = port, rng, ready
        self.frames, self.cycles = [], []       # bytes; (first offered, last taken)
        self._open, self._waiting = None, None

    def step(self, ctx, cycle):
        """Once a cycle, before the clock's edge."""
        ready = self.ready(cycle) if callable(self.ready) else self.rng.random() < self.ready
        ctx.set(self.port.ready, ready)
        if not ctx.get(self.port.valid):
            assert self._waiting is None, "a beat was taken back"
            assert self._open is None, "a frame pauses"
            return
        beat = ctx.get(self.port.payload)
        octets = beat["data"].to_bytes(8, "little")[:beat["end"]]
        seen = (octets, beat["first"], beat["last"])
        assert self._waiting in (None, seen), "a beat that waits has changed"
        if self._waiting is None and beat["first"]:
            assert self._open is None, "a frame begins within another"
            self._open, self._offered = b"", cycle
        assert self._open is not None and beat["begin"] == 0
        self._waiting = None if ready else seen
        if ready:
            assert beat["last"] and octets or len(octets) == 8
            self._open += octets
            if beat["last"]:
                self.frames.append(self._open)
                self.cycles.append((self._offered, cycle))
                self._open = None
