"""Heads of revocations, as a party keeps them: proto/revocation/spec.md, section 1."""

from dataclasses import dataclass

from .notation import b64, unb64


def number(head):
    return int.from_bytes(head[:8], "big")


@dataclass
class Heads:
    """The highest head that a party was shown, and the highest n, with a head or alone."""

    head: bytes | None = None
    highest: int = 0

    def shown(self, head):
        """The verdict on a head: fine, lower or forked."""
        n = number(head)
        if self.head and n == number(self.head) and head != self.head:
            return "forked"
        if self.head is None or n > number(self.head):
            self.head = head
        return self.shown_number(n)

    def shown_number(self, n):
        """The verdict on an n that came alone, in a COSE envelope."""
        verdict = "lower" if n < self.highest else "fine"
        self.highest = max(self.highest, n)
        return verdict

    def header(self):
        return {"Sidekey-Head": b64(self.head)} if self.head else {}

    def save(self):
        return {"head": b64(self.head) if self.head else None, "n": self.highest}

    @classmethod
    def load(cls, saved):
        return cls(unb64(saved["head"], 32) if saved["head"] else None, saved["n"])
