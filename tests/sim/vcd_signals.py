"""What waveform files say of the gateway's wires, read with pyvcd."""

from io import BytesIO

from vcd.reader import TokenKind, tokenize

CYCLE_PS = 6400
START = 0xFB
CHANGES = (TokenKind.CHANGE_VECTOR, TokenKind.CHANGE_SCALAR)


def read(path):
    """All scopes, the changes of each signal of the second scope from above, and the last time.

    A change is (time in ps, value).
    """
    scopes, names, changes = [], {}, {}     # a signal may have several names
    now, step = 0, 1
    # Verilator names the top's ports once more under this scope when cocotb runs it. Viewers take
    # the dollar, pyvcd does not.
    content = path.read_bytes().replace(b" $rootio ", b" rootio ")
    for token in tokenize(BytesIO(content)):
        if token.kind is TokenKind.TIMESCALE:
            step = {"ps": 1, "fs": 1000}[token.data.unit.value]
        elif token.kind is TokenKind.SCOPE:
            scopes.append(token.data.ident)
        elif token.kind is TokenKind.UPSCOPE:
            scopes.append(None)
        elif token.kind is TokenKind.VAR and sum(1 if one else -1 for one in scopes) == 2:
            names.setdefault(token.data.id_code, []).append(token.data.reference)
        elif token.kind is TokenKind.CHANGE_TIME:
            now = token.data // step
        elif token.kind in CHANGES and token.data.id_code in names:
            for name in names[token.data.id_code]:
                changes.setdefault(name, []).append((now, token.data.value))
    return {scope for scope in scopes if scope}, changes, now


def widths(path):
    """The width of each signal by its name; of those with the same name that of the last one."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[4]: int(words[2]) for words in lines if words[:1] == ["$var"]}


def starts(changes):
    """Cycles in which a word with START stood there when the edge came, in a cycle's middle."""
    found = []
    for time, value in changes:
        data, control = int(value) & (1 << 64) - 1, int(value) >> 64
        if any(control >> lane & 1 and data >> 8 * lane & 0xFF == START for lane in (0, 4)):
            found.append((time + CYCLE_PS // 2) // CYCLE_PS)
    return found
