"""The small market with a host that listens to raw frames, and a peer on the wire."""

from gateway_bench import Bench
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

OWN = "02:00:0a:00:00:02"
OTHER = "02:00:0a:00:00:09"
OWN_IP, OTHER_IP = "192.168.77.2", "192.168.77.9"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
LOADED = 1514
FIRST = 10              # cycles: END of the deciding frame → START of the order, after_fcs
# A frame that has just begun, with preamble, FCS, the gap after it, and the order's own start.
WORST = FIRST + (8 + LOADED + 4 + 12) // 8 + 2


def octets(address):
    return bytes.fromhex(address.replace(":", ""))


def frame(rng, to=OWN, length=None):
    """Of an experimental EtherType (IEEE 802, 9.2.4)."""
    body = rng.randbytes((length or rng.randrange(60, 1515)) - 14)
    return octets(to) + octets(OTHER) + b"\x88\xb5" + body


def waited(order):
    """Cycles from the end of the frame that decided to the order's START."""
    return int(order["preamble"]) - int(order["frame_end"]) & 0xFFFF


class Port(Bench):
    """A port with a station address whose host takes frames."""

    def __init__(self, **options):
        super().__init__(**options)
        self.gateway.network.station = OWN
        self.gateway.network.receive()
        self.gateway.frames.poll()
        self.moved()

    def received(self):
        return [bytes(one.data) for one in self.frames()]

    def frames(self):
        found = []
        while got := self.gateway.frames.poll():
            found += [type(one)(one.cycle, one.data.copy()) for one in got]
        return found


def padded(packet):
    """Bytes as a MAC sends them, without FCS."""
    return bytes(packet).ljust(60, b"\0")


def who_has(address=OWN_IP):
    """An ARP request of the peer's."""
    return padded(Ether(src=OTHER, dst=EVERYBODY) / ARP(op=1, hwsrc=OTHER, psrc=OTHER_IP,
                                                        pdst=address))


def is_at():
    """Our reply to it."""
    return padded(Ether(src=OWN, dst=OTHER) / ARP(op=2, hwsrc=OWN, psrc=OWN_IP, hwdst=OTHER,
                                                  pdst=OTHER_IP))


def ping(payload, **ip):
    """An ICMP echo request of the peer's."""
    return padded(Ether(src=OTHER, dst=OWN)
                  / IP(**{"src": OTHER_IP, "dst": OWN_IP, "id": 0x1234, "flags": "DF", **ip})
                  / ICMP(id=0x4321, seq=7) / Raw(payload))


def pong(payload):
    """Our reply to it."""
    return padded(Ether(src=OWN, dst=OTHER)
                  / IP(src=OWN_IP, dst=OTHER_IP, id=0x1234, flags="DF", ttl=64)
                  / ICMP(type=0, id=0x4321, seq=7) / Raw(payload))
