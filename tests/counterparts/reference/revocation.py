#!/usr/bin/env python3
"""The head of revocations, written from proto/revocation/spec.md alone: makes and checks its vectors.

    revocation.py --write FILE    writes the vectors
    revocation.py --check FILE    says whether FILE holds exactly what this program makes
"""

import hashlib
import hmac

from vectors import command


def seeded(name, size=32):
    """Octets that everybody can make again: SHA-256 of a name."""
    return hashlib.sha256(b"sidekey vectors " + name.encode()).digest()[:size]


def sealed(key, n, r):
    public = n.to_bytes(8, "big") + r[:8]
    return public + hmac.new(key, public, hashlib.sha256).digest()[:16]


def genuine(key, head):
    return len(head) == 32 and hmac.compare_digest(hmac.new(key, head[:16], hashlib.sha256).digest()[:16], head[16:])


def chain(key):
    r, rows = bytes(32), [{"n": 0, "r": bytes(32).hex(), "head": sealed(key, 0, bytes(32)).hex()}]
    for n, record in enumerate([b"", b"\x00", b"one revocation", seeded("record", 32) * 40], 1):
        r = hashlib.sha256(r + record).digest()
        rows.append({"n": n, "record": record.hex(), "r": r.hex(), "head": sealed(key, n, r).hex()})
    return rows


def forgeries(key, rows):
    head = bytes.fromhex(rows[3]["head"])
    cases = [("genuine", head), ("after 2^64 - 1", sealed(key, 2**64 - 1, seeded("r"))), ("by another key", sealed(seeded("another K_head"), 3, seeded("r"))),
             ("one revocation fewer", (2).to_bytes(8, "big") + head[8:]), ("another chain", head[:8] + seeded("r", 8) + head[16:]), ("zeros", bytes(32))]
    cases += [(f"octet {i} changed", head[:i] + bytes([head[i] ^ 1]) + head[i + 1 :]) for i in range(32)]
    return [{"name": name, "head": octets.hex(), "genuine": genuine(key, octets)} for name, octets in cases]


def shown(key, rows):
    """What a party that is shown these heads, or an n alone, in turn says of each: the highest is kept."""
    heads = [bytes.fromhex(row["head"]) for row in rows]
    fork = sealed(key, 3, seeded("another history"))
    said, highest, most = [], None, 0
    steps = [heads[0], heads[2], heads[2], heads[1], 1, 2, heads[3], fork, heads[2], 4, heads[3], fork, 3, heads[4], fork, heads[4], 6,
             sealed(key, 5, seeded("r")), sealed(key, 7, seeded("r")), 2**64 - 1, heads[4]]
    for step in steps:
        alone = isinstance(step, int)
        n = step if alone else int.from_bytes(step[:8], "big")
        verdict = "lower" if n < most else "fine"
        if not alone and highest is not None and n == highest[0] and step != highest[1]:
            verdict = "forked"
        elif not alone and (highest is None or n > highest[0]):
            highest = (n, step)
        most = max(most, n)
        said.append({**({"n": n} if alone else {"head": step.hex()}), "verdict": verdict, "highest": highest[1].hex(), "highest_n": most})
    return said


def vectors():
    key = seeded("K_head")
    rows = chain(key)
    return {"about": "Made by tests/counterparts/reference/revocation.py. Hex.", "key": key.hex(), "chain": rows, "genuine": forgeries(key, rows), "shown": shown(key, rows)}


if __name__ == "__main__":
    command(vectors, __doc__)
