"""A venue's bytes in chunks of any size, and the messages of real captures."""

import os
import random
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from scapy.utils import rdpcap

DATA = Path(os.environ.get("TICKWIRE_DATA", Path(__file__).parents[4] / "shared" / "data"))
CAPTURES = DATA / "nasdaq" / "ouch50_soupbintcp"
END = object()


def real(name):
    """TCP payload of a real frame, found by scapy; Ethernet padding is not in it."""
    path = CAPTURES / f"{name}.pcap"
    if not path.exists():
        pytest.skip(f"no real frame at {path}: set TICKWIRE_DATA to the folder of captures")
    frame = rdpcap(str(path))[0]
    segment = frame[TCP]
    length = frame["IP"].len - 4 * frame["IP"].ihl - 4 * segment.dataofs
    return bytes(segment)[4 * segment.dataofs:][:length]


def soup(kind, payload=b""):
    return (1 + len(payload)).to_bytes(2, "big") + kind.encode() + payload


def chunks_of(stream, rng, sizes=(1, 2, 3, 5, 8, 9, 16, 24, 61, 200)):
    """The stream cut anywhere: each chunk as beats ``(bytes, first, last)``."""
    at = 0
    while at < len(stream):
        chunk = stream[at:at + rng.choice(sizes)]
        at += len(chunk)
        for start in range(0, len(chunk), 8):
            yield chunk[start:start + 8], start == 0, start + 8 >= len(chunk)


def beat(octets, first, last, rng=random):
    """Members of a packet beat; lanes behind its end are garbage."""
    filled = octets + rng.randbytes(8 - len(octets))
    return {"data": int.from_bytes(filled, "little"), "begin": 0, "end": len(octets),
            "first": first, "last": last}


def garbage(rng):
    return {"data": rng.getrandbits(64), "begin": rng.randrange(8), "end": rng.randrange(9),
            "first": rng.getrandbits(1), "last": rng.getrandbits(1)}


class Gather:
    """Puts the beats of a packet stream together again."""

    def __init__(self):
        self.messages, self._open = [], None

    def take(self, payload):
        first, last, end = int(payload.first), int(payload.last), int(payload.end)
        assert payload.begin == 0 and first == (self._open is None)
        assert end == 8 or last
        self._open = (self._open or b"") + int(payload.data).to_bytes(8, "little")[:end]
        if last:
            self.messages.append(self._open)
            self._open = None
            return self.messages[-1]
        return None

    @property
    def inside(self):
        return self._open is not None
