"""What a table of open orders must say: a plain dict of orders, apart from the gateware."""

from dataclasses import dataclass, field

OPEN = ("SENT", "ACKNOWLEDGED", "PARTIAL", "CANCEL_SENT", "UNKNOWN")


@dataclass
class Row:
    client_id: int
    instrument: int
    side: str
    exponent: int
    quantity: int
    price: int
    state: str = "SENT"
    open: int = field(init=False)

    def __post_init__(self):
        self.open = self.quantity


class Orders:
    """Rows by their number; anomalies by name."""

    def __init__(self, rows):
        self.size, self.rows = rows, {}
        self.filled, self.anomalies = {}, []

    def is_taken(self, client_id):
        row = self.rows.get(client_id % self.size)
        return row is not None and row.state in OPEN

    def count(self):
        return sum(row.state in OPEN for row in self.rows.values())

    def worst(self, instrument):
        at_risk = {side: sum(row.open for row in self.rows.values()
                             if row.instrument == instrument and row.side == side)
                   for side in ("BID", "ASK")}
        filled = self.filled.get(instrument, 0)
        return filled + at_risk["BID"], filled - at_risk["ASK"]

    def send(self, client_id, **terms):
        if self.is_taken(client_id):
            self.anomalies.append("COLLISION")
        else:
            self.rows[client_id % self.size] = Row(client_id, **terms)

    def session_breaks(self):
        for row in self.rows.values():
            if row.state in OPEN:
                row.state = "UNKNOWN"

    def _find(self, client_id):
        row = self.rows.get(client_id % self.size)
        if row is None or row.client_id != client_id:
            self.anomalies.append("STRAY")
            return None
        return row

    def cancel(self, client_id):
        row = self._find(client_id)
        if row is None:
            return
        if row.state not in OPEN or row.state == "CANCEL_SENT":
            self.anomalies.append("REPEATED")
        elif row.state != "UNKNOWN":
            row.state = "CANCEL_SENT"

    def change(self, kind, client_id, *, final, stated, quantity, exponent, leaves):
        row = self._find(client_id)
        if row is None:
            return
        open_, left, same = row.state in OPEN, row.open, row.exponent == exponent
        becomes = row.state
        strange = None
        if kind == "EXECUTED" and not same:
            strange = "EXPONENT"
            becomes = "UNKNOWN" if open_ else "DONE"
        elif kind == "EXECUTED":
            signed = quantity if row.side == "BID" else -quantity
            self.filled[row.instrument] = self.filled.get(row.instrument, 0) + signed
            if open_:
                strange = "EXCESS" if quantity > row.open else None
                left = 0 if final else max(row.open - quantity, 0)
                becomes = "CANCEL_SENT" if row.state == "CANCEL_SENT" else "PARTIAL"
            else:
                strange = "LATE"
        elif kind == "BROKEN":
            strange = "BROKEN"
        elif not open_:
            strange = "REPEATED"
        elif kind == "REPLACED":
            strange, becomes = "REPLACED", "UNKNOWN"
        elif kind == "REJECTED":
            left = 0
        elif kind == "CANCELLED":
            becomes = "CANCEL_SENT" if row.state == "CANCEL_SENT" else "PARTIAL"
            if final:
                left = 0
            elif not same:
                strange, becomes = "EXPONENT", "UNKNOWN"
            else:
                left = min(leaves, row.open) if stated else max(row.open - quantity, 0)
        elif kind == "ACCEPTED":
            if row.state == "ACKNOWLEDGED" and not final:
                strange = "REPEATED"
            else:
                left = 0 if final else min(leaves, row.open) if stated and same else row.open
                if row.state in ("SENT", "UNKNOWN"):
                    becomes = "ACKNOWLEDGED" if left == row.quantity else "PARTIAL"
        elif row.state == "CANCEL_SENT":
            becomes = "ACKNOWLEDGED" if left == row.quantity else "PARTIAL"
        elif row.state != "UNKNOWN":
            strange = "REPEATED"
        if strange:
            self.anomalies.append(strange)
        row.open, row.state = left, "DONE" if open_ and left == 0 else becomes
