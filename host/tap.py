"""TAP devices: Ethernet interfaces of the Linux kernel whose wire is a file descriptor."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import struct
from ipaddress import IPv4Interface

from tickwire.host.errors import TickwireError

__all__ = ["TapError", "Tap"]

# linux/if_tun.h, linux/sockios.h, linux/if.h
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_SIOCSIFMTU, _SIOCGIFHWADDR = 0x8922, 0x8927
_IFF_UP = 0x1


class TapError(TickwireError):
    """A TAP device cannot be made or set up."""


class Tap:
    """A TAP device that exists as long as this object is open.

    Reading :attr:`file` gives the frames that the kernel sends, one at a time and without FCS;
    what is written there, the kernel receives.

    Parameters
    ----------
    name : str
        Of the interface; up to 15 characters.

    Raises
    ------
    TapError
        If it cannot be made: no /dev/net/tun, no right to use it, or the name is taken.
    """

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", name):
            raise TapError("An interface's name has 1 to 15 letters, digits, '_', '.' or '-', not "
                           f"{name!r}.")
        self.name = name
        try:
            self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise TapError(f"/dev/net/tun cannot be opened: {error.strerror}. Run as root, or "
                           "load the kernel module tun.") from None
        try:
            fcntl.ioctl(self.file, _TUNSETIFF,
                        struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        except OSError as error:
            os.close(self.file)
            why = ("another program has it" if error.errno == errno.EBUSY else
                   "it needs the right CAP_NET_ADMIN: run as root"
                   if error.errno == errno.EPERM else error.strerror)
            raise TapError(f"The TAP device {name} cannot be made: {why}.") from None

    def _control(self, request: int, content: bytes = b"") -> bytes:
        """One request about the interface; gives what the kernel answers, without the name."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            try:
                return fcntl.ioctl(control, request,
                                   struct.pack("16s24s", self.name.encode(), content))[16:]
            except OSError as error:
                raise TapError(f"The interface {self.name} cannot be set up: "
                               f"{error.strerror}.") from None

    @property
    def mac(self) -> str:
        """The interface's MAC address."""
        return self._control(_SIOCGIFHWADDR)[2:8].hex(":")

    def up(self, address: IPv4Interface | None = None, *, mtu: int = 1500) -> None:
        """Give the interface an address and let it work."""
        self._control(_SIOCSIFMTU, struct.pack("i", mtu))
        if address is not None:
            for request, value in ((_SIOCSIFADDR, address.ip), (_SIOCSIFNETMASK, address.netmask)):
                self._control(request, struct.pack("HH4s", socket.AF_INET, 0, value.packed))
        flags, = struct.unpack_from("h", self._control(_SIOCGIFFLAGS))
        self._control(_SIOCSIFFLAGS, struct.pack("h", flags | _IFF_UP))

    def close(self) -> None:
        """The interface is gone."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
