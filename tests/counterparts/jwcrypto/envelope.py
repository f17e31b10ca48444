#!/usr/bin/env python3
"""Opens and makes envelopes with jwcrypto, which shares no code with ours.

    envelope.py open   {kw, jwe} on standard input → the content
    envelope.py make   {kw, kid, content} on standard input → an envelope
"""

import base64
import json
import sys

from jwcrypto import jwe, jwk


def kek(given):
    return jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(bytes.fromhex(given["kw"])).rstrip(b"=").decode())


def open_envelope(given):
    envelope = jwe.JWE(algs=["A256KW", "A256GCM"])
    envelope.deserialize(given["jwe"], kek(given))
    content = envelope.payload.decode()
    if envelope.jose_header["cty"] == "jwk-set+json":
        keys = [jwk.JWK(**key) for key in json.loads(content)["keys"]]
    else:
        keys = [jwk.JWK(**json.loads(content))]
    if any(key["kty"] != "oct" for key in keys) or envelope.jose_header["typ"] != "sidekey-key+jwe":
        raise ValueError("not a session key")
    return content


def make_envelope(given):
    """Members in an order of its own, and white space: what another implementation may well write."""
    protected = {"cty": given.get("cty", "jwk+json"), "typ": "sidekey-key+jwe", "kid": given["kid"], "enc": "A256GCM", "alg": "A256KW"}
    content = json.dumps(given["content"], sort_keys=True, indent=2)
    envelope = jwe.JWE(content.encode(), protected=json.dumps(protected))
    envelope.add_recipient(kek(given))
    return envelope.serialize(compact=True)


if __name__ == "__main__":
    sys.stdout.write({"open": open_envelope, "make": make_envelope}[sys.argv[1]](json.load(sys.stdin)))
