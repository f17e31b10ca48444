"""Bearer tokens: proto/session/spec.md, section 6."""

from .notation import b64, is_b64, is_id, is_text, is_u32, members, refuse_unless
from .signing import payload_object, read_jws, write_jws

TYPE = "sidekey+jwt"
LIFETIME = 300
CLAIMS = {"aud": is_text, "iat": is_u32, "exp": is_u32, "kek": is_b64(8)}


def issue(key, party, service, now, kek):
    claims = {"aud": service, "iat": now, "exp": now + LIFETIME, "kek": b64(kek)}
    return write_jws(key, party, TYPE, claims)


def verify(text, der, service, now):
    """What the service makes of a token: the party, its `kek`, and until when it holds."""
    jws = read_jws(text, TYPE, 2048)
    refuse_unless(is_id(jws.header["kid"]), "party_malformed")
    jws.verify(der)
    claims = payload_object(jws, "claims_malformed")
    refuse_unless(members(claims, CLAIMS, ("kek",)), "claims_malformed")
    refuse_unless(claims["aud"] == service, "audience_foreign")
    refuse_unless(claims["exp"] >= claims["iat"], "expires_before_issued")
    refuse_unless(claims["exp"] - claims["iat"] <= 600, "lifetime_too_long")
    refuse_unless(claims["iat"] <= now + 60, "issued_in_future")
    refuse_unless(now < claims["exp"] + 60, "expired")
    return jws.header["kid"], claims.get("kek"), claims["exp"] + 60
