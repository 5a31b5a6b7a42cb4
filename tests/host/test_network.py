"""The port's addresses, answers and groups as registers; what makes no sense is refused first."""

from ipaddress import IPv4Address, IPv4Interface

import pytest
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.register_network import NETWORK_COUNTERS
from tickwire.gateware.registers import REGISTERS
from tickwire.host.errors import BusError, RegisterError
from tickwire.host.network import Network, group_hash
from tickwire.host.registers import Registers

STATION = "02:00:0a:00:00:02"


@pytest.fixture
def registers(fake_board):
    return Registers(fake_board, GatewayConfig())


@pytest.fixture
def network(registers):
    network = Network(registers)
    network.station = STATION
    return network


def written(fake_board):
    """Names and values of all writes, one word each."""
    names = {REGISTERS.offset(entry.name): entry.name for entry in REGISTERS.entries()}
    found = [(names.get(access[1]), access[2]) for access in fake_board.accesses
             if access[0] == "write"]
    fake_board.accesses.clear()
    return found


def test_the_address_is_written_last_because_that_announces_it(network, fake_board):
    written(fake_board)
    network.set_address("192.168.77.2/24", gateway="192.168.77.1")
    assert written(fake_board) == [
        ("IPV4_NETMASK", 0xFFFFFF00), ("IPV4_GATEWAY", 0xC0A84D01), ("RESPONDER", 0b11),
        ("IPV4_ADDRESS", 0xC0A84D02)]
    assert network.address == IPv4Interface("192.168.77.2/24")
    assert network.gateway == IPv4Address("192.168.77.1")
    network.set_address(IPv4Interface("10.0.0.1/31"))
    assert network.address == IPv4Interface("10.0.0.1/31") and network.gateway is None
    network.set_address(None)
    assert network.address is None


def test_what_is_answered(network, registers):
    network.respond(udp_echo_port=7)
    assert registers.fields("RESPONDER") == {"arp": 1, "echo": 1, "igmp": 1, "udp_echo": 1,
                                             "udp_echo_port": 7, "unreachable": 0}
    # An address adds what it needs, and leaves the rest as it was.
    network.respond(arp=False, echo=False, igmp=False, udp_echo_port=7, unreachable=True)
    network.set_address("192.168.77.2/24")
    assert registers.fields("RESPONDER") == {"arp": 1, "echo": 1, "igmp": 0, "udp_echo": 1,
                                             "udp_echo_port": 7, "unreachable": 1}


def test_groups_pass_the_filter_while_they_are_joined(network, registers, fake_board):
    other = 1 << group_hash("01:00:5e:00:00:fb")
    fake_board.poke("MULTICAST_HASH", other)
    written(fake_board)
    network.join("239.129.2.3")
    joined = 1 << group_hash("01:00:5e:01:02:03")
    assert registers.read("MULTICAST_HASH") == other | joined
    assert written(fake_board)[-1] == ("GROUP_JOIN", 0xEF810203)
    assert registers.fields("RESPONDER")["igmp"] == 1
    network.groups([])
    assert registers.read("MULTICAST_HASH") == joined
    network.all_groups()
    network.leave("239.129.2.3")
    assert registers.read("MULTICAST_HASH") == (1 << 64) - 1
    assert ("GROUP_LEAVE", 0xEF810203) in written(fake_board)
    network.groups([])
    assert registers.read("MULTICAST_HASH") == 0


def test_a_command_that_the_gateway_never_takes(network, fake_board):
    fake_board.poke("STATUS", 1 << 9)
    written(fake_board)
    with pytest.raises(BusError, match="STATUS.GROUP_BUSY stays 1, so GROUP_JOIN cannot be given"):
        network.join("239.1.1.1")
    assert "GROUP_JOIN" not in dict(written(fake_board))


def test_pause_link_and_counters(network, registers, fake_board):
    network.obey_pause(orders=True)
    assert registers.fields("PAUSE") == {"enable": 1, "orders": 1}
    network.obey_pause(host=False)
    assert registers.fields("PAUSE") == {"enable": 0, "orders": 0}
    assert not network.link_up
    fake_board.poke("STATUS", 1 << 8)
    assert network.link_up
    fake_board.poke("EDGE_ARP_REPLY", 5)
    counters = network.counters()
    assert list(counters) == [entry.name for entry in NETWORK_COUNTERS]
    assert {name for name, count in counters.items() if count} == {"EDGE_ARP_REPLY"}


STATION_ONLY = "takes the address of one station, not {}: that is a group's, a whole network's or"


@pytest.mark.parametrize("act, sentence", [
    (lambda n: n.set_address("192.168.77.2"),
     "IPV4_ADDRESS takes an address with its network, such as '192.168.77.2/24', not "
     "'192.168.77.2'"),
    (lambda n: n.set_address("192.168.77.256/24"),
     "IPV4_ADDRESS takes an address with its network, such as '192.168.77.2/24', not "
     "'192.168.77.256/24'"),
    (lambda n: n.set_address("192.168.77.2/40"),
     "IPV4_ADDRESS takes an address with its network, such as '192.168.77.2/24', not "
     "'192.168.77.2/40'"),
    *((lambda n, text=text: n.set_address(text),
       f"IPV4_ADDRESS {STATION_ONLY.format(text)} nobody's")
      for text in ("192.168.77.0/24", "192.168.77.255/24", "239.1.1.1/24", "0.0.0.0/0",
                   "127.0.0.1/8")),
    (lambda n: n.set_address("192.168.77.2/24", gateway="192.168.78.1"),
     "IPV4_GATEWAY takes another station's address in 192.168.77.0/24, not '192.168.78.1'"),
    (lambda n: n.set_address("192.168.77.2/24", gateway="192.168.77.2"),
     "IPV4_GATEWAY takes another station's address in 192.168.77.0/24, not '192.168.77.2'"),
    (lambda n: n.set_address("192.168.77.2/24", gateway="router"),
     "IPV4_GATEWAY takes another station's address in 192.168.77.0/24, not 'router'"),
    (lambda n: n.join("192.168.77.2"),
     "GROUP_JOIN takes a multicast group, 224.0.0.2 to 239.255.255.255, not '192.168.77.2'"),
    (lambda n: n.leave("a group"),
     "GROUP_LEAVE takes a multicast group, 224.0.0.2 to 239.255.255.255, not 'a group'"),
    (lambda n: n.join("224.0.0.1"),
     "GROUP_JOIN does not take 224.0.0.1: every station is always a member of it"),
    (lambda n: n.respond(udp_echo_port=1 << 16),
     "RESPONDER.UDP_ECHO_PORT has 16 bits and takes 0 to 65535, not 65536"),
    (lambda n: n.obey_pause(host=False, orders=True),
     "PAUSE.ORDERS needs PAUSE.ENABLE: let orders=True go together with host=True"),
    (lambda n: setattr(n, "station", "03:00:00:00:00:01"),
     "STATION takes the address of one station, not that of a group, '03:00:00:00:00:01': its "
     "first byte must be even"),
])
def test_errors_name_register_value_and_remedy(network, fake_board, act, sentence):
    fake_board.accesses.clear()
    with pytest.raises(RegisterError) as error:
        act(network)
    assert str(error.value) == sentence
    assert written(fake_board) == []


@pytest.mark.parametrize("act, name", [
    (lambda n: n.set_address("192.168.77.2/24"), "IPV4_ADDRESS"),
    (lambda n: n.join("239.1.1.1"), "GROUP_JOIN")])
def test_nobody_answers_without_a_mac_address(registers, fake_board, act, name):
    with pytest.raises(RegisterError, match=f"{name} needs a MAC address, and STATION is 0: set "
                                            "gw.network.station first"):
        act(Network(registers))
    assert written(fake_board) == []
