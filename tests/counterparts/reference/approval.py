"""Approval, written from proto/pairing/spec.md section 11: the digits of pairings, and the box of one that waits.

    python approval.py --check proto/pairing/approval.json     recomputes the file and compares
    python approval.py --write proto/pairing/approval.json     makes it; a published vector never changes

The exchanges are those of vectors.json beside it; the primitives are pairing.py's, which shares no code with the Rust.
"""

import json
import os

from pairing import b64, box, expand, lp, sha256, spki
from vectors import command

VECTORS = os.path.join(os.path.dirname(__file__), "../../../proto/pairing/vectors.json")


def fixed(name, size=32):
    """Stands for randomness: the same in every run, and visibly nobody's secret."""
    return expand(sha256(b"sidekey test vector: approval"), name.encode(), size)


def digits(th, key):
    number = int.from_bytes(sha256(lp("digits", th, key)), "big") % 10**16
    text = f"{number:016}"
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))


def row(name, th, key):
    return {"name": name, "th": th, "client_key": key, "digits": digits(th, key)}


def padded(key):
    """An exchange whose digits begin with four zeros."""
    for count in range(10**6):
        th = sha256(b"sidekey test vector: padded digits" + count.to_bytes(4, "big"))
        if digits(th, key).startswith("0000"):
            return th
    raise AssertionError("one of ten thousand is")


def boxes(case):
    root, th = bytes.fromhex(case["root_0"]), bytes.fromhex(case["th"])
    content = json.loads(case["box_service"]["plaintext"])
    base = {name: content[name] for name in ("pairing", "service")}
    rest = {name: content[name] for name in ("policy", "epoch", "not_after", "signature")}
    rows = [
        ("an administrator's word", {"state": "confirmed", "approval": "admin"}, None),
        ("an administrator's, or another device's", {"state": "confirmed", "approval": "device"}, None),
        ("confirmed, and waits for nobody", {"state": "confirmed", "approval": "none"}, "MalformedBox"),
        ("active, and waits for somebody", {"state": "active", "approval": "admin"}, "MalformedBox"),
        ("active, and waits for nobody, which is not said", {"state": "active", "approval": "none"}, "MalformedBox"),
        ("a state that there is not", {"state": "approved"}, "MalformedBox"),
    ]
    made = []
    for count, (why, state, reason) in enumerate(rows):
        nonce = fixed(f"box {count}", 12)
        text, sealed = box(root, "box service", th, nonce, base | state | rest)
        made.append({"why": why, "approval": state.get("approval"), "nonce": nonce, "plaintext": text.decode(), "box": b64(sealed), "reason": reason})
    return made


NOTE = (
    "Approval, proto/pairing/spec.md section 11. Digits of the exchanges of vectors.json, and of one whose digits begin with zeros; "
    "then the service's boxes of the first exchange, had its invitation asked for approval. 'reason' is the refusal's name in the "
    "reference implementation; null where the box holds. A published vector never changes."
)


def build():
    with open(VECTORS, encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    keys = [spki(int.from_bytes(bytes.fromhex(case["random"]["client_key"]), "big")) for case in cases]
    rows = [row(case["name"], bytes.fromhex(case["th"]), key) for case, key in zip(cases, keys)]
    rows.append(row("padded", padded(keys[0]), keys[0]))
    return {"note": NOTE, "digits": rows, "boxes_of_the_first_case": boxes(cases[0])}


if __name__ == "__main__":
    command(build, __doc__)
