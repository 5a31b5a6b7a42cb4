"""What can go wrong, in sentences that name the thing, its value and the remedy."""

from __future__ import annotations

from tickwire.gateware.vocabulary import Reason, TcpEvent

__all__ = ["TickwireError", "BusError", "BoardError", "CardDiedError", "RegisterError",
           "PriceError", "OrderRefusedError", "ArmingError", "EventsLostError", "ClockError",
           "NetworkError", "ConnectionEndedError"]


class TickwireError(Exception):
    """Every error of the host package."""


class BoardError(TickwireError):
    """There is no board, or it is not one that this host can drive."""


class BusError(TickwireError):
    """A bus access was not answered."""


class CardDiedError(BusError):
    """The process of a simulated card is gone."""


class RegisterError(TickwireError, ValueError):
    """A value does not fit a register, a field or a row."""


class PriceError(TickwireError, ValueError):
    """A price cannot be said exactly."""


class OrderRefusedError(TickwireError):
    """The risk gate refused an order of the host's; ``reason`` says why."""

    def __init__(self, what: str, reason: Reason, remedy: str) -> None:
        super().__init__(f"{what} was refused: ORDER_RESULT.REASON is {reason.name}. Remedy: "
                         f"{remedy}.")
        self.reason = reason


class ArmingError(TickwireError):
    """The gateway did not arm, or the kill switch did not release."""


class ClockError(TickwireError):
    """The clock cannot be measured or disciplined so."""


class NetworkError(TickwireError):
    """The network did not answer as was needed."""


class ConnectionEndedError(TickwireError):
    """A connection is not, or is no longer, what was needed; ``event`` says what happened to it."""

    def __init__(self, what: str, event: TcpEvent, remedy: str) -> None:
        super().__init__(f"{what}: TCP_STATE.EVENT is {event.name}. Remedy: {remedy}.")
        self.event = event


class EventsLostError(TickwireError):
    """Event records were overwritten before they were read."""
