"""SoupBinTCP 3.00: the session below OUCH, packets in a TCP stream.

Source: Nasdaq's SoupBinTCP specification. All numbers in the packet header are big-endian; those
in the login packets are decimal digits. Text is ASCII, filled with spaces.
"""

from .fixed import FixedLayout

__all__ = ["PACKET_HEADER", "LOGIN_REQUEST", "LOGIN_ACCEPTED", "LOGIN_REJECTED", "DEBUG",
           "ACCEPTED", "REJECTED", "SEQUENCED", "SERVER_HEARTBEAT", "END_OF_SESSION", "LOGIN",
           "UNSEQUENCED", "CLIENT_HEARTBEAT", "LOGOUT", "NOT_AUTHORIZED", "NO_SESSION",
           "FROM_SERVER", "FROM_CLIENT"]

PACKET_HEADER = FixedLayout("SoupBinTCP packet header", [
    ("length", 2),                  # of the type and what follows it
    ("type", 1),
], byteorder="big")

# Packet types.
DEBUG = b"+"
ACCEPTED, REJECTED, SEQUENCED, SERVER_HEARTBEAT, END_OF_SESSION = b"A", b"J", b"S", b"H", b"Z"
LOGIN, UNSEQUENCED, CLIENT_HEARTBEAT, LOGOUT = b"L", b"U", b"R", b"O"

FROM_SERVER = (DEBUG, ACCEPTED, REJECTED, SEQUENCED, SERVER_HEARTBEAT, END_OF_SESSION)
FROM_CLIENT = (DEBUG, LOGIN, UNSEQUENCED, CLIENT_HEARTBEAT, LOGOUT)

# Reasons in a LOGIN_REJECTED.
NOT_AUTHORIZED, NO_SESSION = b"A", b"S"

LOGIN_REQUEST = FixedLayout("Login Request", [
    ("username", 6),                # spaces on the right
    ("password", 10),               # spaces on the right
    ("session", 10),                # spaces on the left; all spaces: the one that is current
    ("sequence", 20),               # digits, spaces on the left; 0: only what comes from now on
], byteorder="big")

LOGIN_ACCEPTED = FixedLayout("Login Accepted", [
    ("session", 10),                # spaces on the left
    ("sequence", 20),               # of the next sequenced message; digits, spaces on the left
], byteorder="big")

LOGIN_REJECTED = FixedLayout("Login Rejected", [
    ("reason", 1),
], byteorder="big")
