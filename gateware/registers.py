"""THE register table of the gateway: bank, host, C header and reference page come from it."""

from tickwire.hdl.csr.register_table import Access, Command, Field, Page, Register, Window

from .records import FRAME_HEADER, RECORDS
from .register_counters import COUNTERS
from .register_map import RegisterMap
from .register_network import NETWORK
from .register_tables import CONFIGURATION
from .register_tcp import TCP
from .vocabulary import Action, Reason, Side

__all__ = ["MAGIC", "VERSION", "REGISTERS"]

MAGIC = 0x7469636B          # "tick"
VERSION = 0x00_01_00        # major, minor, patch: a byte each


def _constant(name: str, value: int | str, meaning: str, width: int = 32,
              unit: str = "") -> Register:
    return Register(name=name, access=Access.CONSTANT, value=value, meaning=meaning, width=width,
                    unit=unit)


def _status(name: str, meaning: str, width: int = 32, unit: str = "",
            fields: tuple[Field, ...] = ()) -> Register:
    return Register(name=name, access=Access.READ_ONLY, meaning=meaning, width=width, unit=unit,
                    fields=fields)


def _bit(name: str, meaning: str) -> Field:
    return Field(name=name, width=1, meaning=meaning)


_IDENTITY = Page(
    name="IDENTITY", offset=0x0000,
    meaning="Who the board is and how it is: read-only, for everybody.",
    entries=(
        _constant("MAGIC", MAGIC, "The four letters 'tick': there is a gateway behind this BAR."),
        _constant("VERSION", VERSION, "Major, minor and patch number, a byte each."),
        _constant("REGISTER_HASH", "register_hash", "Hash of the register table.", width=64),
        _constant("INSTRUMENTS", "instruments", "Dense instrument indices."),
        _constant("LEVELS", "levels", "Price levels that a side of a book holds."),
        _constant("ROW_LEVELS", "row_levels", "Levels that one row of book memory holds."),
        _constant("SUBSCRIPTION_COUNT", "subscriptions", "Rows of the subscription table."),
        _constant("CHANNELS", "channels", "Dense channel indices."),
        _constant("LEVEL_QUEUE", "level_queue", "Level changes that can wait for the book."),
        _constant("MAX_FRAME", "max_frame", "Longest legal frame, without VLAN tag.",
                  unit="bytes"),
        _constant("CORE_HZ", "core_hz", "Rate of the core clock.", unit="Hz"),
        _constant("PPS_INPUT", "pps", "1 if there is an input for a pulse per second.", width=1),
        _status("STATUS", "What may keep orders from leaving, and what is busy.", fields=(
            _bit("ARMED", "Orders may leave."),
            _bit("KILLED", "The kill switch was pulled and has not been released."),
            _bit("HOST_TIMEOUT", "The host did not touch the dead-man timer in time."),
            _bit("LOG_FULL", "The event ring has no room for the record of another order."),
            _bit("SESSION", "The order session is open."),
            _bit("WINDOW", "The venue's window has room for an order."),
            _bit("TX_BUSY", "An order could not begin now."),
            _bit("FRAME_BUSY", "No further frame of the host's can be taken now."),
            _bit("LINK_UP", "The link is not at fault."),
            _bit("GROUP_BUSY", "No multicast group can be joined or left now."),
            _bit("RESOLVE_BUSY", "The address in RESOLVE is still looked for."),
        )),
        _status("CYCLES", "Cycles of the core clock since reset.", width=64, unit="cycles"),
        _status("NANOSECONDS", "The clock whose time stands in orders.", width=64, unit="ns"),
        Register(name="NANOSECONDS_CYCLE", access=Access.READ_ONLY, width=64, unit="cycles",
                 latched_by="NANOSECONDS",
                 meaning="CYCLES in the cycle in which NANOSECONDS was read last."),
        _status("PPS_NANOSECONDS", "That clock 2 cycles after the last edge of the pulse per "
                "second.", width=64, unit="ns"),
        Register(name="PPS_COUNT", access=Access.READ_ONLY, unit="pulses",
                 latched_by="PPS_NANOSECONDS",
                 meaning="Edges since reset, modulo 2^32, when PPS_NANOSECONDS was read last."),
        _status("FRAMES", "Frames that ended at the receiver since reset.", unit="frames"),
        _status("SESSION_SEQUENCE", "Next byte to send."),
        _status("SESSION_UNACKNOWLEDGED", "Oldest unacknowledged byte."),
        _status("SESSION_PEER_WINDOW", "What the venue takes beyond that.", unit="bytes"),
        _status("SESSION_ACKNOWLEDGEMENT", "Next byte expected."),
        _status("SESSION_VENUE_SEQUENCE", "The venue's number of the next message.", width=64),
        _status("SESSION_LAST_PROCESSED", "The venue's last message processed.", width=64),
        _status("SESSION_CLIENT_ID", "Client id of the next new order.", width=64),
        _status("EVENTS_PRODUCED", "Event records made since reset, modulo 2^32.",
                unit="records"),
    ),
)

_COUNTERS = Page(name="COUNTERS", offset=0x1000, entries=COUNTERS,
                 meaning="What was counted since the board was configured: read-only.")

_CONFIGURATION = Page(name="CONFIGURATION", offset=0x2000, entries=CONFIGURATION,
                      meaning="What to listen to, what to do, what to allow.")

_ARMING = Page(
    name="ARMING", offset=0x3000,
    meaning="Whether orders may leave at all: for whoever is responsible.",
    entries=(
        Command(name="ARM_REQUEST", meaning="Makes a new nonce.",
                side_effects="The nonce before it is void."),
        _status("ARM_NONCE", "The nonce, good for one use; 0 if there is none."),
        Register(name="ARM_LIFETIME", unit="cycles", reset=156_250_000,
                 meaning="Time for which a nonce can be used."),
        Command(name="ARM", width=32,
                meaning="Arms if the number written is the nonce and has not expired."),
        Command(name="DISARM", meaning="Disarms at once."),
        Command(name="KILL", meaning="Pulls the kill switch, which latches."),
        Command(name="KILL_RELEASE", width=32,
                meaning="Releases the kill switch if disarmed and the number written is the "
                        "nonce."),
        Register(name="DEAD_MAN_PERIOD", unit="cycles",
                 meaning="Longest time between two touches; 0 switches the timer off."),
        Command(name="DEAD_MAN_TOUCH", meaning="The host lives: starts the period anew."),
    ),
)

_TRADING = Page(
    name="TRADING", offset=0x4000,
    meaning="Orders of the host's: they pass the same risk gate as the strategy's.",
    entries=(
        Register(name="ORDER", meaning="What the next posted order is about.", fields=(
            Field(name="ACTION", width=1, meaning="What it asks for.",
                  values=tuple(action.name for action in Action)),
            Field(name="SIDE", width=1, meaning="BID buys, ASK sells.",
                  values=tuple(side.name for side in Side)),
            Field(name="INSTRUMENT", width=7, meaning="Dense index."),
        )),
        Register(name="ORDER_QUANTITY", meaning="Quantity of the order.", unit="mantissa"),
        Register(name="ORDER_PRICE", meaning="Price of the order.", width=64, unit="price key"),
        Register(name="ORDER_CLIENT_ID", width=64,
                 meaning="Of a cancel: client id of the order to cancel."),
        Command(name="ORDER_POST", width=32,
                meaning="Posts the order under this number, which the result repeats."),
        _status("ORDER_RESULT", "What became of the last posted order.", fields=(
            _bit("DONE", "The result belongs to the number in ORDER_RESULT_POST."),
            Field(name="REASON", width=5, meaning="PASSED, or why it was refused.",
                  values=tuple(reason.name for reason in Reason)),
        )),
        _status("ORDER_RESULT_POST", "Number under which the order was posted."),
        _status("ORDER_RESULT_CLIENT_ID", "Client id of the order that was sent.", width=64),
        _status("ORDER_RESULT_SEQUENCE", "The venue's number of its message.", width=64),
    ),
)

_WATCH = Page(
    name="WATCH", offset=0x5000,
    meaning="Reading the books and the event ring.",
    entries=(
        Command(name="BOOK_SELECT", width=32, meaning="Fetches one level of one book.", fields=(
            Field(name="INSTRUMENT", width=7, meaning="Dense index."),
            Field(name="SIDE", width=1, meaning="Side of the book.",
                  values=tuple(side.name for side in Side)),
            Field(name="LEVEL", width=16, meaning="0 is the best level."),
        )),
        _status("BOOK_STATE", "The selected book and level.", fields=(
            _bit("DONE", "The values belong to the last selection."),
            _bit("VALID", "There is such a level."),
            _bit("TRADABLE", "The book is whole, its chain and its channel without a gap."),
            Field(name="BIDS", width=8, meaning="Levels on the bid side."),
            Field(name="ASKS", width=8, meaning="Levels on the ask side."),
        )),
        _status("BOOK_PRICE", "Price of the selected level.", width=64, unit="price key"),
        _status("BOOK_AMOUNT", "Amount of the selected level.", width=64, unit="venue's bits"),
        _status("BOOK_CHANGE_ID", "Change id of the selected book.", width=64),
        _status("BOOK_MAX_DEPTH", "Most levels that a side of any book has had since reset.",
                unit="levels"),
        Register(name="EVENT_RING", unit="records",
                 meaning="Records that the event ring holds; 0: there is none, the log is full."),
        Register(name="EVENTS_CONSUMED", unit="records",
                 meaning="Event records that the host has taken, modulo 2^32."),
    ),
)

_FRAMES = Page(
    name="FRAMES", offset=0x6000,
    meaning="Frames of the host's, sent as they are, and datagrams, whose headers hardware makes.",
    entries=(
        Window(name="FRAME", words=512, meaning="Bytes of the frame without FCS, first lowest."),
        Command(name="FRAME_SEND", meaning="Puts the frame into the queue.", fields=(
            Field(name="LENGTH", width=11, unit="bytes", meaning="Length without FCS."),
            Field(name="REPEAT", width=16, meaning="Times to send it; 0 is once, too."),
        )),
        Register(name="FRAME_CAP", width=11, unit="bytes", reset=1514,
                 meaning="Longest frame that is taken while the gateway is armed: an order that "
                         "comes meanwhile waits for the frame's end."),
        Command(name="FRAME_STOP",
                meaning="Ends the repetition; what is in the queue still leaves."),
        Command(name="DATAGRAM_SEND", fields=(
            Field(name="LENGTH", width=11, unit="bytes",
                  meaning="8 for the address and the ports, and the payload."),
        ), meaning="Sends what is in FRAME as a UDP datagram from IPV4_ADDRESS: destination "
                   "address, source port, destination port, then up to 1,472 bytes; each first "
                   "byte highest. ARP is hardware's business, too."),
    ),
)

_NETWORK = Page(
    name="NETWORK", offset=0x7000, entries=NETWORK,
    meaning="Who the port is on its network, what hardware answers, and the ring of frames for the "
            "host.",
)

_TCP = Page(
    name="TCP", offset=0x8000, entries=TCP,
    meaning="Connections that live in hardware: opened, watched and closed here.",
)

REGISTERS = RegisterMap((_IDENTITY, _COUNTERS, _CONFIGURATION, _ARMING, _TRADING, _WATCH,
                         _FRAMES, _NETWORK, _TCP), RECORDS, FRAME_HEADER)
