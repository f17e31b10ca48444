#!/usr/bin/env python3
"""The audit log's chain, written from proto/audit/spec.md alone: makes and checks its vectors.

    audit.py --write FILE    writes the vectors
    audit.py --check FILE    says whether FILE holds exactly what this program makes
"""

import hashlib

from vectors import command


def seeded(name, size=32):
    """Octets that everybody can make again: SHA-256 of a name."""
    return hashlib.sha256(b"sidekey vectors " + name.encode()).digest()[:size]


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def lp(label, *fields):
    return b"".join(len(field).to_bytes(4, "big") + field for field in [b"sidekey/1 " + label.encode(), *fields])


def entry_salt(salt, item):
    return sha(lp("audit salt", salt, item.to_bytes(2, "big")))[:16]


def entry_hash(salt, text):
    return sha(lp("audit entry", salt, text.encode()))


def entries(hashes):
    return sha(lp("audit record", *hashes))


def leaf(size, seq, nth, bound, body_hash):
    frame = size.to_bytes(4, "big") + seq.to_bytes(8, "big") + nth.to_bytes(2, "big") + bound
    return sha(frame, body_hash)


def record(seq, nth, body, texts, before):
    """What is known of one record, and the chain after it."""
    salt = seeded(f"audit salt {seq}", 16)
    said = []
    for item, text in enumerate(texts):
        own = entry_salt(salt, item)
        said.append({"salt": own.hex(), "text": text, "hash": entry_hash(own, text).hex()})
    bound = entries([bytes.fromhex(one["hash"]) for one in said])
    lf = leaf(len(body), seq, nth, bound, sha(body))
    return {"seq": seq, "nth": nth, "salt": salt.hex(), "body": body.hex(), "body_hash": sha(body).hex(), "said": said,
            "entries": bound.hex(), "leaf": lf.hex(), "hash": sha(before, lf).hex()}


TEXTS = [
    ['{"seq":1,"at":1000000,"action":"service_created","service":"01010101010101010101010101010101","label":"admin"}'],
    ['{"seq":2,"at":1000000,"by":"adadadadadadadadadadadadadadadad","action":"server_added","server":"mail.example.org"}'],
    ['{"seq":3,"at":1000007,"action":"session_opened","server":"mail.example.org","user":"ann@example.org","session":"55555555555555555555555555555555","suite":"A256GCM","not_after":1003607}',
     '{"seq":3,"item":1,"at":1000007,"action":"session_opened","server":"mail.example.org","user":"bøb","session":"66666666666666666666666666666666","suite":"C20P","not_after":1003607}'],
    [],
    ['{"seq":5,"at":1000009,"by":"adadadadadadadadadadadadadadadad","action":"user_revoked","server":"mail.example.org","user":"ann@example.org","reason":"lost \\"it\\""}'],
]


def chain():
    before, rows = bytes(32), []
    for seq, texts in enumerate(TEXTS, 1):
        nth = 1 if seq == 3 else 0
        rows.append(record(seq, nth, seeded(f"audit body {seq}", 32) * seq, texts, before))
        before = bytes.fromhex(rows[-1]["hash"])
    return rows


def vectors():
    return {"about": "Made by tests/counterparts/reference/audit.py. Hex; texts as they are hashed.", "chain": chain()}


if __name__ == "__main__":
    command(vectors, __doc__)
