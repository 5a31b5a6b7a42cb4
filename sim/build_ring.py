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
    DOMAIN_clk, DOMAIN_rst : 1 bit
        Pins of each clock domain.
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
            **{f"{domain}_{pin}": In(1) for domain in self.clocks for pin in ("clk", "rst")}})

    @property
    def clocks(self) -> list[str]:
        """Names of the clock domains, ``sync`` first."""
        return ["sync", *sorted(set(self._domains.values()) - {"sync"})]

    def registers(self) -> int:
        """How many flip-flops the ring itself adds to the core's."""
        widths = [len(port) * (1 if direction.value == "input" else 2)
                  for port, direction in component_ports(self._core).values()]
        return sum(widths) + 3 * len(self.clocks)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = self._core
        scan: Value = self.scan_in
        for domain in self.clocks:
            self._clock(m, domain)
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

    def _clock(self, m: Module, domain: str) -> None:
        """Clock from its pin, reset from a register as a board would give it."""
        clock = ClockDomain(domain)
        held = Signal(2, name=f"reset_{domain}", init=3, reset_less=True)
        m.domains += clock
        m.d[domain] += held.eq(Cat(getattr(self, f"{domain}_rst"), held))
        m.d.comb += [clock.clk.eq(getattr(self, f"{domain}_clk")), clock.rst.eq(held[-1])]
