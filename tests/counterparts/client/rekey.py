"""The next epoch's root: proto/pairing/spec.md, section 9, as the party."""

import hmac
import secrets

from . import p256
from .notation import (
    b64, derive, extract, is_b64, is_text, is_u32, lp, mac, members, refuse_unless, sha256, u32, unb64,
)
from .pairing import KEM_CT, kem_private

ANSWER = {"to": is_u32, "point": is_text, "kem_ct": is_text, "not_after": is_u32, "confirm": is_b64(32)}


class Rekey:
    def __init__(self, epoch, root, *, scalar=None, kem_seed=None, nonce=None):
        self.epoch, self.root = epoch, root
        self.scalar = scalar or secrets.randbelow(p256.ORDER - 1) + 1
        self.kem = kem_private(kem_seed)
        self.point = p256.encode(p256.multiply(self.scalar, p256.G))
        self.kem_ek = self.kem.public_key().public_bytes_raw()
        self.nonce = nonce or secrets.token_bytes(16)

    def request(self):
        return {
            "from": self.epoch,
            "point": b64(self.point),
            "kem_ek": b64(self.kem_ek),
            "nonce": b64(self.nonce),
        }

    def answered(self, answer):
        """The next root. Refuses, in this order: another epoch, a bad point, a bad ciphertext, a wrong `confirm`."""
        refuse_unless(members(answer, ANSWER), "MalformedAnswer")
        refuse_unless(answer["to"] == self.epoch + 1, "EpochForeign")
        their_point, kem_ct = unb64(answer["point"]), unb64(answer["kem_ct"])
        peer = p256.decode(their_point, "BadPoint")
        refuse_unless(len(kem_ct) == KEM_CT, "BadKemCiphertext")
        self.x = p256.multiply(self.scalar, peer)[0].to_bytes(32, "big")
        self.kem_ss = self.kem.decapsulate(kem_ct)
        asked = lp("rekey request", u32(self.epoch), self.point, self.kem_ek, self.nonce)
        told = lp("rekey answer", u32(answer["to"]), their_point, kem_ct, u32(answer["not_after"]))
        self.salt = sha256(asked + told)
        root = extract(self.salt, self.root + self.x + self.kem_ss)
        confirm = mac(derive(root, "rekey confirm"), asked)
        refuse_unless(hmac.compare_digest(confirm, unb64(answer["confirm"])), "NotConfirmed")
        return root
