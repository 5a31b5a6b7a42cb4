"""The network page: who the port is, which frames the host gets, and their counters."""

from tickwire.hdl.csr.register_table import Access, Counter, Entry, Field, Register

__all__ = ["NETWORK", "NETWORK_COUNTERS"]

NETWORK: tuple[Entry, ...] = (
    Register(name="STATION", width=48,
             meaning="Own MAC address, its first byte highest."),
    Register(name="FRAME_FILTER", fields=(
        Field(name="OWN", width=1, meaning="Frames to STATION pass."),
        Field(name="BROADCAST", width=1, meaning="Frames to all ones pass."),
        Field(name="PROMISCUOUS", width=1, meaning="All frames pass."),
    ), meaning="Which good frames that no hardware took go on towards the host."),
    Register(name="MULTICAST_HASH", width=64,
             meaning="Groups that pass, a bit for each hash of their MAC address: bits 31 to 26 "
                     "of its CRC-32 without the final complement."),
    Register(name="FRAME_SLOT", access=Access.CONSTANT, value="frame_slot", unit="bytes",
             meaning="Size of a slot of the frame ring, 16 bytes of header included."),
    Register(name="FRAME_RING", unit="slots",
             meaning="Slots that the frame ring holds; 0: there is none, frames are dropped."),
    Register(name="FRAMES_CONSUMED", unit="slots",
             meaning="Slots that the host has given back, modulo 2^32."),
    Register(name="FRAMES_PRODUCED", access=Access.READ_ONLY, unit="slots",
             meaning="Slots filled since reset, modulo 2^32."),
)

NETWORK_COUNTERS: tuple[Counter, ...] = tuple(
    Counter(name=name, meaning=meaning, unit="frames") for name, meaning in (
        ("STORE_KEPT", "Good frames that no hardware took and that the address filter let pass."),
        ("STORE_FILTERED", "Good frames that no hardware took and that were for other stations."),
        ("STORE_NO_ROOM", "Frames that were lost because too many others waited."),
        ("HOST_RECEIVE_PASSED", "Frames put into the host's frame ring."),
        ("HOST_RECEIVE_NO_ROOM", "Frames for the host that found no free slot in its ring."),
        ("HOST_RECEIVE_TOO_LONG", "Frames for the host that are longer than a slot."),
    ))
