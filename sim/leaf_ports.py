"""A component with one port for each field, for models that want a signal and not a struct."""

# No `from __future__ import annotations` here: this file holds an Amaranth component.

from typing import Any

from amaranth.hdl import Const, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LeafPorts"]


class LeafPorts(wiring.Component):
    """The same component behind ports that are plain vectors. Latency: 0 cycles.

    A port ``rx`` with a struct payload of ``data`` and ``control`` has the ports
    ``rx__payload__data``, ``rx__payload__control`` and ``rx__valid``; what is no struct keeps its
    name. Constants (``ready`` of an ``always_ready`` stream) have no port.

    Parameters
    ----------
    component : wiring.Component
        What is wrapped; its submodule is called ``component``.
    """

    def __init__(self, component: Any) -> None:
        self._component = component
        self._leaves: list[tuple[str, Value, bool]] = []
        for path, member, port in component.signature.flatten(component):
            name = "__".join(map(str, path))
            self._add(name, port, member.flow == In)
        super().__init__({name: (In if inward else Out)(len(value))
                          for name, value, inward in self._leaves})

    def _add(self, name: str, port: Any, inward: bool) -> None:
        if isinstance(port, data.View):
            for key, _ in data.Layout.cast(port.shape()):
                self._add(f"{name}__{key}", port[key], inward)
        elif not isinstance(Value.cast(port), Const):
            self._leaves.append((name, Value.cast(port), inward))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.component = self._component
        for name, value, inward in self._leaves:
            outside = getattr(self, name)
            m.d.comb += value.eq(outside) if inward else outside.eq(value)
        return m
