"""A component's ports tied to a ring of registers, so that it can be routed without a board."""

# No `from __future__ import annotations` here: this file holds an Amaranth component.

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, ClockDomain, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.sim.build_tools import component_ports

__all__ = ["Ring"]


class Ring(wiring.Component):
    """Feeds every input bit of a core from a register and takes every output bit into one.

    Inputs come from a shift register behind ``scan_in``. Outputs are sampled, and a second chain,
    which ends in ``scan_out``, XORs the samples in: so synthesis can neither drop anything
    of the core nor simplify it, and each path of the core starts and ends in a register.

    There is no reset signal: configuration gives each register its first value, and the device's
    global set/reset, which needs no routing, does so again. A reset net of thousands of registers
    would be the slowest path of all, for a signal that lasts as long as one likes.

    Parameters
    ----------
    core : wiring.Component
        What is to be measured. Its submodule is called ``core``.
    domains : mapping
        Clock domain of a port by the first part of its name (``{"i": "rx"}``); ``sync`` for all
        others.

    Members
    -------
    scan_in, scan_out : 1 bit
        Ends of the chains.
    DOMAIN_clk : 1 bit
        Pin of each clock domain.
    """

    def __init__(self, core: Any, domains: Mapping[str, str] | None = None) -> None:
        self._core = core
        self._domains = dict(domains or {})
        unknown = set(self._domains) - set(core.signature.members)
        if unknown:
            raise ValueError(f"The ring was given clock domains of {', '.join(sorted(unknown))}, "
                             f"but the core has no such port: it has "
                             f"{', '.join(sorted(core.signature.members))}.")
        super().__init__({
            "scan_in": In(1), "scan_out": Out(1),
            **{f"{domain}_clk": In(1) for domain in self.clocks}})

    @property
    def clocks(self) -> list[str]:
        """Names of the clock domains, ``sync`` first."""
        return ["sync", *sorted(set(self._domains.values()) - {"sync"})]

    def registers(self) -> int:
        """How many flip-flops the ring itself adds to the core's."""
        widths = [len(port) * (1 if direction.value == "input" else 2)
                  for port, direction in component_ports(self._core).values()]
        return sum(widths) + len(self.clocks)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = self._core
        scan: Value = self.scan_in
        for domain in self.clocks:
            clock = ClockDomain(domain, reset_less=True)
            m.domains += clock
            m.d.comb += clock.clk.eq(getattr(self, f"{domain}_clk"))
            ports = [port for name, port in component_ports(self._core).items()
                     if self._domains.get(name.split("__")[0], "sync") == domain]
            inputs = Cat(port for port, direction in ports if direction.value == "input")
            outputs = Cat(port for port, direction in ports if direction.value == "output")
            feed = Signal(len(inputs), name=f"feed_{domain}", reset_less=True)
            sampled = Signal(len(outputs), name=f"sampled_{domain}", reset_less=True)
            chain = Signal(len(outputs) + 1, name=f"chain_{domain}", reset_less=True)
            m.d.comb += inputs.eq(feed)
            if len(feed):
                m.d[domain] += feed.eq(Cat(scan, feed))
                scan = feed[-1]
            m.d[domain] += [sampled.eq(outputs), chain.eq(Cat(scan, chain) ^ Cat(0, sampled))]
            scan = chain[-1]
        m.d.comb += self.scan_out.eq(scan)
        return m
