"""Rekeying, written from proto/pairing/spec.md section 9: both sides of two rekeys in a row, and what is refused of the first.

    python rekey.py --check proto/pairing/rekey.json     recomputes the file and compares
    python rekey.py --write proto/pairing/rekey.json     makes it; a published vector never changes

The arithmetic and the primitives are pairing.py's, which shares no code with the Rust.
"""

from kyber_py.ml_kem import ML_KEM_768
from pairing import G, b64, decode, derive, encode, expand, extract, kem_encaps, kem_keygen, lp, mac, mul, octets, sha256
from vectors import command


def fixed(name, size=32):
    """Stands for randomness: the same in every run, and visibly nobody's secret."""
    return expand(sha256(b"sidekey test vector: rekey"), name.encode(), size)


def scalar(seed):
    return int.from_bytes(seed, "big")


def u32(number):
    return number.to_bytes(4, "big")


def ecdh(secret, point):
    return octets(mul(scalar(secret), decode(point))[0])


def rekey(name, epoch, root, now):
    random = {
        "party_scalar": fixed(f"{name} party scalar"),
        "kem_seed": fixed(f"{name} kem seed", 64),
        "nonce": fixed(f"{name} nonce", 16),
        "service_scalar": fixed(f"{name} service scalar"),
        "kem_m": fixed(f"{name} kem m"),
    }
    point_p, point_s = (encode(mul(scalar(random[side]), G)) for side in ("party_scalar", "service_scalar"))
    ek, dk = kem_keygen(random["kem_seed"])
    ct, kem_ss = kem_encaps(ek, random["kem_m"])
    assert ML_KEM_768.decaps(dk, ct) == kem_ss
    shared = ecdh(random["party_scalar"], point_s)
    assert shared == ecdh(random["service_scalar"], point_p)

    not_after = now + 7 * 24 * 3600
    request = lp("rekey request", u32(epoch), point_p, ek, random["nonce"])
    answer = lp("rekey answer", u32(epoch + 1), point_s, ct, u32(not_after))
    salt = sha256(request + answer)
    fresh = extract(salt, root + shared + kem_ss)
    confirm = mac(derive(fresh, "rekey confirm"), request)
    return {
        "name": name,
        "now": now,
        "root": root,
        "random": random,
        "request": {"from": epoch, "point": b64(point_p), "kem_ek": b64(ek), "nonce": b64(random["nonce"])},
        "answer": {"to": epoch + 1, "point": b64(point_s), "kem_ct": b64(ct), "not_after": not_after, "confirm": b64(confirm)},
        "ecdh_x": shared,
        "kem_ss": kem_ss,
        "salt": salt,
        "next_root": fresh,
        "kek_kw": derive(fresh, "kek kw"),
        "kid": derive(fresh, "kek id")[:8],
    }


def refusals(case):
    """One change to the first case each, and who refuses it for what."""
    ek = bytearray(kem_keygen(case["random"]["kem_seed"])[0])
    ek[0:2] = b"\xff\xff"
    point = encode(mul(scalar(case["random"]["party_scalar"]), G))
    rows = [
        ("an epoch that is erased", "request", {"from": 6}, "service", "EpochPassed"),
        ("an epoch that never was", "request", {"from": 8}, "service", "EpochUnknown"),
        ("the identity, one octet", "request", {"point": b64(b"\0")}, "service", "BadPoint"),
        ("the identity, padded with zeros", "request", {"point": b64(bytes(65))}, "service", "BadPoint"),
        ("a compressed point", "request", {"point": b64(bytes([2 + point[64] % 2]) + point[1:33])}, "service", "BadPoint"),
        ("not on the curve", "request", {"point": b64(point[:64] + bytes([point[64] ^ 1]))}, "service", "BadPoint"),
        ("a coefficient of kem_ek is beyond the modulus", "request", {"kem_ek": b64(bytes(ek))}, "service", "BadKemKey"),
        ("kem_ek is an octet short", "request", {"kem_ek": b64(bytes(ek[:-1]))}, "service", "BadKemKey"),
        ("another point on the way", "request", {"point": b64(encode(mul(3, G)))}, "party", "NotConfirmed"),
        ("another kem_ek on the way", "request", {"kem_ek": b64(kem_keygen(fixed("other", 64))[0])}, "party", "NotConfirmed"),
        ("another nonce on the way", "request", {"nonce": b64(bytes(16))}, "party", "NotConfirmed"),
        ("the same epoch again", "answer", {"to": 7}, "party", "EpochForeign"),
        ("the epoch after the next", "answer", {"to": 9}, "party", "EpochForeign"),
        ("the identity", "answer", {"point": b64(bytes(65))}, "party", "BadPoint"),
        ("the party's own point reflected", "answer", {"point": case["request"]["point"]}, "party", "NotConfirmed"),
        ("kem_ct is an octet long", "answer", {"kem_ct": b64(bytes(1089))}, "party", "BadKemCiphertext"),
        ("another kem_ct", "answer", {"kem_ct": b64(bytes(1088))}, "party", "NotConfirmed"),
        ("a longer life", "answer", {"not_after": case["answer"]["not_after"] + 1}, "party", "NotConfirmed"),
        ("a confirmation of nothing", "answer", {"confirm": b64(bytes(32))}, "party", "NotConfirmed"),
    ]
    return [dict(zip(("why", "message", "change", "by", "reason"), row)) for row in rows]


def build():
    first = rekey("first", 7, fixed("root"), 1_800_000_000)
    second = rekey("second", 8, first["next_root"], 1_800_090_000)
    note = "Two rekeys in a row. Octets are hex, or base64url where a message has them. Written by tests/counterparts/reference/rekey.py."
    return {"note": note, "cases": [first, second], "refusals_of_the_first_case": refusals(first)}


if __name__ == "__main__":
    command(build, __doc__)
