#!/usr/bin/env python3
"""Opens and makes envelopes in COSE with cwt, which shares no code with ours.

    envelope.py open   {gcm, kid, scope…, cose} on standard input → the content
    envelope.py make   {gcm, kid, scope…, content} on standard input → an envelope, in hex
    envelope.py spell  {cose} on standard input → the same envelope in CBOR of indefinite lengths, in hex
"""

import json
import os
import struct
import sys

import cbor2
from cwt import COSE, COSEKey

FIELDS = ["version", "suite", "session", "generation", "revocations", "not_before", "not_after", "key", "ctx"]
LAYOUT = ">BB16sIQII32s8s"


def key(given):
    return COSEKey.from_symmetric_key(bytes.fromhex(given["gcm"]), alg="A256GCM", kid=bytes.fromhex(given["kid"]))


def external_aad(given):
    fields = [b"sidekey/1 envelope", bytes.fromhex(given["service"]), given["server"].encode(), given["user"].encode(), bytes.fromhex(given["pairing"])]
    return b"".join(struct.pack(">I", len(field)) + field for field in fields)


def open_envelope(given):
    envelope = bytes.fromhex(given["cose"])
    content = COSE.new().decode(envelope, [key(given)], external_aad=external_aad(given))
    values = struct.unpack(LAYOUT, content)
    return json.dumps({name: value.hex() if isinstance(value, bytes) else value for name, value in zip(FIELDS, values, strict=True)})


def make_envelope(given):
    said = given["content"]
    values = [bytes.fromhex(said[name]) if isinstance(said[name], str) else said[name] for name in FIELDS]
    cose = COSE.new(alg_auto_inclusion=False, kid_auto_inclusion=False)
    protected = {1: 3, 4: bytes.fromhex(given["kid"])}
    return cose.encode(struct.pack(LAYOUT, *values), key(given), protected, {5: os.urandom(12)}, external_aad=external_aad(given)).hex()


def spell(given):
    protected, unprotected, ciphertext = cbor2.loads(bytes.fromhex(given["cose"])).value
    parts = [cbor2.dumps(protected), b"\xbf" + cbor2.dumps(unprotected)[1:] + b"\xff", cbor2.dumps(ciphertext)]
    spelt = b"\xd0\x9f" + b"".join(parts) + b"\xff"
    assert cbor2.loads(spelt).value == [protected, unprotected, ciphertext]
    return spelt.hex()


if __name__ == "__main__":
    sys.stdout.write({"open": open_envelope, "make": make_envelope, "spell": spell}[sys.argv[1]](json.load(sys.stdin)))
