#!/usr/bin/env python3
"""The audit log's chain, written from proto/audit/spec.md alone: makes and checks its vectors.

    audit.py --write FILE    writes the vectors
    audit.py --check FILE    says whether FILE holds exactly what this program makes
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from vectors import command

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


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


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def signing_key(name):
    return ec.derive_private_key(int.from_bytes(seeded(name), "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pkcs8(key):
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def key_id(key):
    return b64(sha(spki(key))[:16])


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def jws(key, header, payload):
    signed = f"{b64(compact(header))}.{b64(compact(payload))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def checkpoints(rows):
    """One that holds, and others that do not, each with what is wrong."""
    key, other = signing_key("checkpoint key"), signing_key("another key")
    header = {"alg": "ES256", "kid": key_id(key), "typ": "sidekey-checkpoint+jws"}
    payload = {"service": "01" * 16, "seq": rows[-1]["seq"], "hash": b64(bytes.fromhex(rows[-1]["hash"])), "at": 1000060, "key": b64(spki(key))}
    good = jws(key, header, payload)
    cases = [
        ("holds", good, None),
        ("signed by another", jws(other, header, payload), "signature_wrong"),
        ("names another key", jws(key, header | {"kid": key_id(other)}, payload), "key_foreign"),
        ("shows another key", jws(key, header, payload | {"key": b64(spki(other))}), "key_foreign"),
        ("a policy's type", jws(key, header | {"typ": "sidekey-policy+jws"}, payload), "malformed"),
        ("a member more", jws(key, header, payload | {"more": 1}), "payload_malformed"),
        ("no hash", jws(key, header, {name: value for name, value in payload.items() if name != "hash"}), "payload_malformed"),
        ("another number", ".".join([good.split(".")[0], b64(compact(payload | {"seq": 4})), good.split(".")[2]]), "signature_wrong"),
        ("cut short", good[:-1], "signature_wrong"),
        ("nothing", "", "malformed"),
    ]
    return {"private": pkcs8(key).hex(), **payload, "kid": key_id(key), "cases": [{"name": name, "jws": text, "refused": why} for name, text, why in cases]}


def vectors():
    rows = chain()
    return {"about": "Made by tests/counterparts/reference/audit.py. Hex; texts as they are hashed; the checkpoint as JSON has it.",
            "chain": rows, "checkpoint": checkpoints(rows)}


if __name__ == "__main__":
    command(vectors, __doc__)
