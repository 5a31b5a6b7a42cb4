"""NetworkEdge finds the next hop for the host, between datagrams of its own."""

import pytest
from edge_bench import (
    GATEWAY_ADDRESS,
    GATEWAY_MAC,
    OWN_MAC,
    PEER_ADDRESS,
    PEER_MAC,
    Edge,
    address_number,
    mac_number,
)
from scapy.layers.l2 import ARP, Ether
from test_edge_sending import ASKS_PEER, answer, datagram

KNOWN = 7 + 2 * 4     # cycles from the command to the answer that a cache of 4 rows has


async def resolve(edge, address):
    """Give the command, and take it back."""
    edge.ctx.set(edge.dut.i_resolve.payload, address_number(address))
    edge.ctx.set(edge.dut.i_resolve.valid, 1)
    await edge.tick()
    edge.ctx.set(edge.dut.i_resolve.payload, edge.rng.getrandbits(32))
    edge.ctx.set(edge.dut.i_resolve.valid, 0)


def busy(edge):
    return edge.ctx.get(edge.dut.o_resolve_busy)


@pytest.mark.parametrize("pause, ready", [(0, 1), (0.3, 0.5)])
def test_a_neighbour_is_asked_and_then_known(pause, ready):
    async def script(edge):
        await resolve(edge, PEER_ADDRESS)
        await edge.settle()
        assert busy(edge) and edge.sent == [ASKS_PEER]
        await resolve(edge, GATEWAY_ADDRESS)        # not taken: the first goes on
        edge.give(answer())
        await edge.settle()
        assert not busy(edge) and edge.ctx.get(edge.dut.o_resolved) == mac_number(PEER_MAC)
        began = edge.cycle
        await resolve(edge, PEER_ADDRESS)
        while busy(edge):
            await edge.tick()
        assert edge.cycle - began == KNOWN
        assert edge.ctx.get(edge.dut.o_resolved) == mac_number(PEER_MAC) and not edge.sent

    Edge(pause=pause, ready=ready).run(script)


def test_far_addresses_go_to_the_gateway_groups_need_nobody_and_silence_is_told():
    async def script(edge):
        await resolve(edge, "8.8.8.8")
        await edge.settle()
        (asked,) = edge.sent
        assert Ether(asked)[ARP].pdst == GATEWAY_ADDRESS
        edge.give(answer(GATEWAY_MAC, GATEWAY_ADDRESS))
        await edge.settle()
        assert edge.ctx.get(edge.dut.o_resolved) == mac_number(GATEWAY_MAC)
        await resolve(edge, "239.1.2.3")
        await edge.settle()
        assert edge.ctx.get(edge.dut.o_resolved) == mac_number("01:00:5e:01:02:03")
        await resolve(edge, PEER_ADDRESS)
        await edge.tick(5 * 10 * 60)
        assert not busy(edge) and edge.ctx.get(edge.dut.o_resolved) == 0
        assert edge.sent == [ASKS_PEER] * 3

    Edge(period=60).run(script)


def test_a_datagram_waits_for_the_host_and_the_host_for_a_datagram():
    async def script(edge):
        edge.send(b"first", PEER_ADDRESS, 4000, 5000)
        await edge.settle()
        await resolve(edge, GATEWAY_ADDRESS)
        await edge.settle()
        assert edge.sent == [ASKS_PEER] and busy(edge)
        edge.give(answer())
        await edge.settle()
        edge.send(b"second", PEER_ADDRESS, 4000, 5000)
        await edge.settle()
        first, asks = edge.sent
        assert first == datagram(b"first") and Ether(asks)[ARP].pdst == GATEWAY_ADDRESS
        assert asks[6:12] == bytes.fromhex(OWN_MAC.replace(":", ""))
        edge.give(answer(GATEWAY_MAC, GATEWAY_ADDRESS))
        await edge.settle()
        assert edge.sent == [datagram(b"second")]
        assert edge.ctx.get(edge.dut.o_resolved) == mac_number(GATEWAY_MAC)

    Edge().run(script)
