"""Gateware with a bug in it, so that a proof can be seen to fail."""

import inspect
from types import ModuleType

from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = ["through", "with_bug"]


def with_bug(module, right, wrong):
    """The module once more, with one piece of its text replaced.

    Parameters
    ----------
    module : module
        Stays as it is.
    right, wrong : str
        What stands there exactly once, and what shall stand there instead.

    Raises
    ------
    ValueError
        If ``right`` does not stand there exactly once: the bug would not be the one that is meant.
    """
    text = inspect.getsource(module)
    if text.count(right) != 1:
        raise ValueError(f"{module.__name__} must have {right!r} exactly once to be given a bug, "
                         f"not {text.count(right)} times.")
    broken = ModuleType(module.__name__)
    exec(compile(text.replace(right, wrong), module.__file__, "exec"), broken.__dict__)
    return broken


def through(m, outer, inner, deaf=()):
    """Connect every port of a component with the same port of the one around it.

    ``deaf`` maps names of inputs to constants which the component sees instead: a seeded bug.
    """
    for name, member in inner.signature.members.items():
        if name in deaf:
            m.d.comb += getattr(inner, name).eq(deaf[name])
            continue
        if name not in outer.signature.members:
            continue
        mine, its = getattr(outer, name), getattr(inner, name)
        if member.is_port:
            m.d.comb += its.eq(mine) if member.flow is In else mine.eq(its)
        else:
            for one, other in zip(mine, its, strict=True) if member.dimensions else ((mine, its),):
                wiring.connect(m, wiring.flipped(one), other)
