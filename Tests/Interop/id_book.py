"""A set of ids of the form PREFIX-NUMBER, a bit for each: a ledger of fifty million messages in a few megabytes."""


class IdBook:
    """Ids with few prefixes, whose numbers begin near 0."""

    def __init__(self):
        self.bits = {}

    def add(self, one):
        """Notes an id; false when it was there."""
        prefix, _, number = one.rpartition("-")
        place, bit = divmod(int(number), 8)
        bits = self.bits.setdefault(prefix, bytearray())
        if place >= len(bits):
            bits.extend(bytes(place + 1 - len(bits) + len(bits) // 4))
        is_new = not bits[place] >> bit & 1
        bits[place] |= 1 << bit
        return is_new

    def without(self, *others):
        """The ids that none of the other books has."""
        for prefix, bits in self.bits.items():
            left = int.from_bytes(bits, "little")
            for other in others:
                left &= ~int.from_bytes(other.bits.get(prefix, b""), "little")
            while left:
                lowest = left & -left
                yield f"{prefix}-{lowest.bit_length() - 1}"
                left ^= lowest
