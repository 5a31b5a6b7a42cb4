"""A board that is a dictionary: it remembers what was written, and every access."""

import numpy as np
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.csr.register_table import Access, Register


class FakeBoard:
    """Remembers what was written, and every access in order."""

    fresh = True

    def __init__(self):
        self.ring = np.zeros(0, dtype=np.uint8)
        self.frame_ring = np.zeros(0, dtype=np.uint8)
        self.memory = {}
        self.accesses = []
        config = GatewayConfig()
        for entry in REGISTERS.entries(Register):
            if entry.access is Access.CONSTANT:
                value = entry.value
                if value == "register_hash":
                    value = REGISTERS.hash
                elif isinstance(value, str):
                    value = getattr(config, value)
                self.poke(entry.name, value)

    def poke(self, name, value):
        """Let a register read as this value."""
        for k in range(REGISTERS[name].words):
            self.memory[REGISTERS.offset(name) + 4 * k] = value >> 32 * k & 0xFFFF_FFFF

    def read32(self, offset):
        self.accesses.append(("read", offset))
        return self.memory.get(offset, 0)

    def write32(self, offset, value):
        assert 0 <= value < 1 << 32
        self.accesses.append(("write", offset, value))
        self.memory[offset] = value

    def write_words(self, offset, values):
        for number, value in enumerate(values):
            self.write32(offset + 4 * number, value)

    def close(self):
        pass
