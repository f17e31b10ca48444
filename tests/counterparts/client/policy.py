"""The policy of a user at a server: proto/session/spec.md, section 3."""

import re
from dataclasses import dataclass

from . import suites
from .notation import SUITES, is_id, is_text, is_texts, is_u32, members, refuse_unless, sha256
from .signing import payload_object, pin, read_jws

TYPE = "sidekey-policy+jws"
SHAPE = {
    "service": is_id, "server": is_text, "user": is_text, "version": is_u32, "suites": is_texts,
    "mode": lambda mode: mode == "require", "items": is_texts,
}  # fmt: skip


@dataclass
class Policy:
    content: dict
    hash: bytes

    @property
    def suites(self):
        return self.content["suites"]


def check_items(items):
    sound = 1 <= len(items) <= 64 and sorted(set(items)) == items
    refuse_unless(sound and all(re.fullmatch("[!-`{-~]{1,64}", item) for item in items), "items_malformed")


def verify(text, keys, scope, seen=None):
    """A policy for `scope`, not older than `seen` (version, hash), signed by one of `keys` (SPKIs)."""
    jws = read_jws(text, TYPE, 16384)
    key = next((der for der in keys if pin(der) == jws.header["kid"]), None)
    refuse_unless(key is not None, "key_foreign")
    jws.verify(key)
    content = payload_object(jws, "payload_malformed")
    refuse_unless(members(content, SHAPE), "payload_malformed")
    check_items(content["items"])
    suites.check_offer(content["suites"])
    for name in ("service", "server", "user"):
        refuse_unless(content[name] == scope[name], f"{name}_foreign")
    policy = Policy(content, sha256(jws.payload))
    if seen:
        version, digest = seen
        refuse_unless(content["version"] >= version, "older")
        refuse_unless(content["version"] > version or policy.hash == digest, "content_changed")
    refuse_unless(any(name in SUITES for name in content["suites"]), "suite_unsupported")
    return policy
