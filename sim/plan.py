"""What a capture asks of a gateway: groups and ports to join, instruments to know."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tickwire.sim.capture import CapturedPacket, CaptureError, read_capture
from tickwire.sim.models.deribit import DeribitError, parse_datagram, udp_payload
from tickwire.sim.models.deribit_books import FeedSummary, summarise
from tickwire.sim.rewrite import Rewriter

__all__ = ["Capture", "Subscription", "Instrument", "Plan", "make_plan"]


@dataclass(frozen=True)
class Subscription:
    """One multicast group and port; ``channel`` is the dense index of what comes there."""

    group: str
    port: int
    channel: int


@dataclass(frozen=True)
class Instrument:
    """The venue's id, the dense index that stands for it, its channel, its name if it is known."""

    instrument_id: int
    index: int
    channel: int
    name: str


@dataclass(frozen=True)
class Capture:
    """A file to replay; reading it anew gives the same packets."""

    path: Path
    raw: bool = False

    def packets(self) -> Iterator[CapturedPacket]:
        """From the beginning, rewritten unless ``raw``."""
        return Rewriter(raw=self.raw)(read_capture(self.path))

    def sha256(self) -> str:
        with self.path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass
class Plan:
    """How the gateway is set up for a capture, and what the golden model says of it.

    Members
    -------
    left_out : list of int
        Instruments that did not fit; the least busy ones.
    """

    capture: Capture
    sha256: str
    subscriptions: list[Subscription]
    instruments: list[Instrument]
    left_out: list[int]
    rewritten: dict[str, int]
    duration_ns: int
    golden: FeedSummary
    index_of: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index_of = {one.instrument_id: one.index for one in self.instruments}

    def name(self, instrument_id: int) -> str:
        index = self.index_of.get(instrument_id)
        known = self.instruments[index].name if index is not None else ""
        return known or f"instrument {instrument_id}"


def make_plan(capture: Capture, *, subscriptions: int = 64, instruments: int = 128) -> Plan:
    """Read a capture once and say what it needs.

    Raises
    ------
    CaptureError
        If the file cannot be read, has no datagram of the feed, or needs more subscriptions than
        the gateway has.
    """
    rewriter = Rewriter(raw=capture.raw)
    channels: dict[tuple[str, int], int] = {}
    home: dict[int, int] = {}           # instrument → channel of its increments
    names: dict[int, str] = {}
    activity: Counter[int] = Counter()
    times: list[int] = []

    def watched() -> Iterator[CapturedPacket]:
        for packet in rewriter(read_capture(capture.path)):
            times[1:] = [packet.time_ns]
            found = udp_payload(packet.data)
            if found is not None:
                channel = channels.setdefault((found[0], found[1]), len(channels))
                try:
                    datagram = parse_datagram(found[3])
                except DeribitError as error:
                    raise CaptureError(f"{capture.path}: packet {packet.number}: no Deribit "
                                       f"multicast datagram: {error}; is this another venue's "
                                       "capture?") from None
                for message in datagram.messages:
                    instrument = int(message.fields.get("instrumentId", 0))
                    if message.template in (1000, 1010) and message.text:
                        names[instrument] = message.text[0].decode("ascii", "replace")
                    if message.template in (1001, 1003, 1004):
                        activity[instrument] += 1
                        if datagram.channel < 100:
                            home[instrument] = channel
                        else:
                            home.setdefault(instrument, channel)
            yield packet

    golden = summarise(watched())
    if not channels:
        raise CaptureError(f"{capture.path}: none of {golden.packets} packets is UDP over IPv4; "
                           "capture the venue's multicast groups")
    if len(channels) > subscriptions:
        raise CaptureError(f"{capture.path}: {len(channels)} groups and ports, but the gateway has "
                           f"{subscriptions} subscriptions; filter the capture")
    ranked = sorted(activity, key=lambda one: (-activity[one], one))
    chosen = sorted(ranked[:instruments])
    return Plan(
        capture=capture, sha256=capture.sha256(),
        subscriptions=[Subscription(group, port, channel)
                       for (group, port), channel in channels.items()],
        instruments=[Instrument(one, index, home[one], names.get(one, ""))
                     for index, one in enumerate(chosen)],
        left_out=sorted(ranked[instruments:]), rewritten=rewriter.counts.as_dict(),
        duration_ns=times[-1] - times[0], golden=golden)
