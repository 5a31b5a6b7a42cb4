"""The network page: who the port is, what hardware answers, which frames the host gets."""

from tickwire.hdl.csr.register_table import Access, Command, Counter, Entry, Field, Register

__all__ = ["NETWORK", "NETWORK_COUNTERS"]

_STATION = (
    Register(name="STATION", width=48,
             meaning="Own MAC address, its first byte highest."),
    Register(name="FRAME_FILTER", fields=(
        Field(name="OWN", width=1, meaning="Frames to STATION pass."),
        Field(name="BROADCAST", width=1, meaning="Frames to all ones pass."),
        Field(name="PROMISCUOUS", width=1, meaning="All frames pass."),
    ), meaning="Which good frames that no market data takes go on towards the host. What RESPONDER "
               "has to hear passes besides."),
    Register(name="MULTICAST_HASH", width=64,
             meaning="Groups that pass, a bit for each hash of their MAC address: bits 31 to 26 "
                     "of its CRC-32 without the final complement."),
)

_RING = (
    Register(name="FRAME_SLOT", access=Access.CONSTANT, value="frame_slot", unit="bytes",
             meaning="Size of a slot of the frame ring, 16 bytes of header included."),
    Register(name="FRAME_RING", unit="slots",
             meaning="Slots that the frame ring holds; 0: there is none, frames are dropped."),
    Register(name="FRAMES_CONSUMED", unit="slots",
             meaning="Slots that the host has given back, modulo 2^32."),
    Register(name="FRAMES_PRODUCED", access=Access.READ_ONLY, unit="slots",
             meaning="Slots filled since reset, modulo 2^32."),
)

_EDGE = (
    Register(name="IPV4_ADDRESS", written=True,
             meaning="Own IPv4 address, first byte highest; 0: none, nobody is answered.",
             side_effects="Each write announces the address if RESPONDER.ARP is 1: a gratuitous "
                          "ARP request (RFC 5227, 2.3)."),
    Register(name="IPV4_NETMASK", meaning="Which addresses are on the own network: bits that are "
                                          "the same in all of them."),
    Register(name="IPV4_GATEWAY", meaning="The way to all others; 0: there is none."),
    Register(name="RESPONDER", fields=(
        Field(name="ARP", width=1, meaning="Requests for IPV4_ADDRESS (RFC 826)."),
        Field(name="ECHO", width=1, meaning="ICMP echo requests (RFC 792)."),
        Field(name="IGMP", width=1, meaning="Queries for groups (RFC 3376)."),
        Field(name="UDP_ECHO", width=1, meaning="Datagrams to UDP_ECHO_PORT (RFC 862)."),
        Field(name="UDP_ECHO_PORT", width=16, meaning="UDP port whose datagrams go back."),
        Field(name="UNREACHABLE", width=1,
              meaning="Datagrams to any other port: port unreachable (RFC 1122, 3.2.2.1)."),
    ), meaning="What hardware answers for STATION and IPV4_ADDRESS. The rest is the host's."),
    Command(name="GROUP_JOIN", width=32,
            meaning="Joins this IPv4 multicast group. Only while STATUS.GROUP_BUSY is 0."),
    Command(name="GROUP_LEAVE", width=32,
            meaning="Leaves this IPv4 multicast group. Only while STATUS.GROUP_BUSY is 0."),
    Command(name="RESOLVE", width=32,
            meaning="Finds the MAC address to which frames for this IPv4 address go, by mask, "
                    "gateway and ARP. Only while STATUS.RESOLVE_BUSY is 0."),
    Register(name="RESOLVED", access=Access.READ_ONLY, width=48,
             meaning="What was found, first byte highest; 0: no gateway, or nobody answered."),
    Register(name="TICK_PERIOD", unit="cycles",
             meaning="Length of 100 ms for ARP and IGMP; 0 is a tenth of CORE_HZ."),
    Register(name="PAUSE", reset=1, fields=(
        Field(name="ENABLE", width=1, meaning="Frames of the host's and answers are held back."),
        Field(name="ORDERS", width=1, meaning="Orders, too: they are refused with TX_BUSY."),
    ), meaning="What received PAUSE frames stop (IEEE 802.3-2022, annex 31B)."),
)

NETWORK: tuple[Entry, ...] = _STATION + _RING + _EDGE


def _counters(*pairs: tuple[str, str], unit: str = "frames") -> tuple[Counter, ...]:
    return tuple(Counter(name=name, meaning=meaning, unit=unit) for name, meaning in pairs)


_EDGE_COUNTERS = _counters(
    ("EDGE_ARP_REPLY", "ARP replies sent."),
    ("EDGE_ARP_CONFLICT", "ARP packets of somebody else who uses IPV4_ADDRESS (RFC 5227)."),
    ("EDGE_IP_HEADER", "IPv4 headers with a wrong version or wrong lengths; they go to the host."),
    ("EDGE_IP_CHECKSUM", "IPv4 headers with a wrong checksum; they go to the host."),
    ("EDGE_IP_TIME_TO_LIVE", "IPv4 packets whose time to live is 0; they go to the host."),
    ("EDGE_IP_FRAGMENT", "IPv4 fragments; they go to the host."),
    ("EDGE_CHECKSUM", "Wrong checksums of ICMP, IGMP or UDP; the frames go to the host."),
    ("EDGE_ECHO_REPLY", "ICMP echo replies sent."),
    ("EDGE_UDP_ECHO", "Datagrams sent back."),
    ("EDGE_UNREACHABLE", "Port unreachable messages sent."),
    ("EDGE_UNREACHABLE_LIMITED", "Port unreachable messages that were one too many."),
    ("EDGE_IGMP_MESSAGE", "IGMP queries and reports received; they go to the host, too."),
    ("EDGE_IGMP_REPORT", "IGMP reports sent."),
    ("EDGE_IGMP_FULL", "Groups that were not joined: no row was free."),
    ("EDGE_GROUP_LOST", "GROUP_JOIN and GROUP_LEAVE that came while STATUS.GROUP_BUSY was 1."),
    ("EDGE_UDP_SENT", "Datagrams of the hardware's sent."),
    ("EDGE_UDP_UNRESOLVED", "Datagrams that were dropped: no gateway, or no ARP reply."),
    ("EDGE_UDP_TOO_LONG", "Datagrams that were dropped: more than 1,472 bytes."),
    ("EDGE_NO_ROOM", "Answers that were not made: the next room was not ready."),
    ("EDGE_HOST", "Frames that hardware did not answer, handed on towards the host."),
    ("EDGE_HOST_NO_ROOM", "Frames for the host that were lost: the next room was not ready."),
)

NETWORK_COUNTERS: tuple[Counter, ...] = _counters(
    ("STORE_KEPT", "Good frames that no market data took and that the address filter let pass."),
    ("STORE_FILTERED", "Good frames that no market data took and that were for other stations."),
    ("STORE_NO_ROOM", "Frames that were lost because too many others waited."),
) + _EDGE_COUNTERS + _counters(
    ("REPLY_KEPT", "Frames of the hardware's own that were put into their queue."),
    ("REPLY_DROPPED", "Frames of the hardware's own that found no room in their queue."),
    ("HOST_RECEIVE_PASSED", "Frames put into the host's frame ring."),
    ("HOST_RECEIVE_NO_ROOM", "Frames for the host that found no free slot in its ring."),
    ("HOST_RECEIVE_TOO_LONG", "Frames for the host that are longer than a slot."),
)
