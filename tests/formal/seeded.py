"""Gateware with a bug in it, so that a proof can be seen to fail."""

import inspect
from types import ModuleType

__all__ = ["with_bug"]


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
