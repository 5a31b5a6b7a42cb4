"""What the host sets of the network edge, and where a datagram is to go."""

from amaranth.lib import data

__all__ = ["EdgeSettings", "UdpDestination"]


class EdgeSettings(data.Struct):
    """Who the gateway is on the network, and what the hardware does about it.

    Addresses are numbers, first byte highest. A unit that is switched off leaves its frames to the
    host.
    """

    mac: 48
    address: 32
    netmask: 32
    gateway: 32             # 0: there is none
    arp: 1                  # answer requests for `address`, and fill the cache
    echo: 1                 # answer ICMP echo requests
    igmp: 1                 # report groups and answer queries
    udp_echo: 1             # send datagrams for `udp_echo_port` back
    udp_echo_port: 16
    unreachable: 1          # no UDP port but the hardware's is open: answer for the others


class UdpDestination(data.Struct):
    """Where a datagram goes, and from which port."""

    address: 32             # first byte highest
    source_port: 16
    destination_port: 16
