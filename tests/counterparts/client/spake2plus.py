"""SPAKE2+ (RFC 9383), P256-SHA256-HKDF-SHA256-HMAC-SHA256."""

import hmac
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw

from . import p256
from .notation import Refused, expand, extract, lp, mac, sha256

M = p256.decompress(bytes.fromhex("02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f"))
N = p256.decompress(bytes.fromhex("03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49"))


def sized(*values):
    """Each value behind its length as RFC 9383 writes it: eight octets, little-endian."""
    return b"".join(len(value).to_bytes(8, "little") + value for value in values)


def reduce(wide):
    return int.from_bytes(wide, "big") % p256.ORDER


def stretch_salt(invitation):
    return sha256(lp("code", bytes.fromhex(invitation)))


def stretch(symbols, invitation, public_url):
    """w0s ‖ w1s, from a pairing code of eight symbols."""
    return hash_secret_raw(
        secret=sized(symbols.encode(), invitation.encode(), public_url.encode()),
        salt=stretch_salt(invitation),
        time_cost=2,
        memory_cost=19456,
        parallelism=1,
        hash_len=80,
        type=Type.ID,
        version=0x13,
    )


def split(wide):
    return reduce(wide[:40]), reduce(wide[40:])


@dataclass
class Secrets:
    """What both sides know once each has the other's share."""

    transcript: bytes
    main: bytes
    confirm_p: bytes
    confirm_v: bytes
    shared: bytes
    keys: tuple

    def check(self, mine, theirs):
        if not hmac.compare_digest(mine, theirs):
            raise Refused("CodeMismatch", "the confirmation does not verify")


def conclude(context, ids, shares, points, w0):
    z, v = points
    if z is p256.IDENTITY or v is p256.IDENTITY:
        raise Refused("BadShare", "the shared point is the identity")
    transcript = sized(
        context, *ids, p256.encode(M), p256.encode(N), *shares, p256.encode(z), p256.encode(v), w0.to_bytes(32, "big")
    )
    main = sha256(transcript)
    key = extract(bytes(32), main)
    confirmation = expand(key, b"ConfirmationKeys", 64)
    key_p, key_v = confirmation[:32], confirmation[32:]
    share_p, share_v = shares
    return Secrets(
        transcript, main, mac(key_p, share_v), mac(key_v, share_p), expand(key, b"SharedKey", 32), (key_p, key_v)
    )


class Prover:
    """The client's side."""

    def __init__(self, w0, w1, x):
        self.w0, self.w1, self.x = w0, w1, x
        self.share = p256.encode(p256.add(p256.multiply(x, p256.G), p256.multiply(w0, M)))

    def points(self, share_v):
        base = p256.add(p256.decode(share_v), p256.negate(p256.multiply(self.w0, N)))
        return p256.multiply(self.x, base), p256.multiply(self.w1, base)

    def conclude(self, context, ids, share_v):
        return conclude(context, ids, (self.share, share_v), self.points(share_v), self.w0)


class Verifier:
    """The service's side: what the vectors let us hold our own messages against."""

    def __init__(self, w0, registration, y):
        self.w0, self.registration, self.y = w0, registration, y
        self.share = p256.encode(p256.add(p256.multiply(y, p256.G), p256.multiply(w0, N)))

    def conclude(self, context, ids, share_p):
        base = p256.add(p256.decode(share_p), p256.negate(p256.multiply(self.w0, M)))
        points = p256.multiply(self.y, base), p256.multiply(self.y, self.registration)
        return conclude(context, ids, (share_p, self.share), points, self.w0)
