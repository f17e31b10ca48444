"""Sessions of a paired party: opening them, fetching their keys, and what is sealed under them."""

import base64
import secrets
from dataclasses import dataclass

from . import envelope, frame, suites
from .notation import SUITE_NAMES, Refused, refuse_unless, sha256, unb64
from .party import quoted

COSE = 'application/cose; cose-type="cose-encrypt0"'
CAPABILITIES = ["XENCRYPTED", "A256GCM", "C20P"]


@dataclass
class Key:
    """A session key that was checked, and everything that its object keys are made of."""

    session: str
    generation: int
    suite: str
    user: str
    not_before: int
    not_after: int
    octets: bytes
    policy: bytes
    capabilities: list
    offer: bytes

    def shown(self):
        """What a script may see: a fingerprint in place of the key."""
        return {
            "session": self.session,
            "generation": self.generation,
            "suite": self.suite,
            "user": self.user,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "capabilities": self.capabilities,
            "fingerprint": sha256(self.octets)[:8].hex(),
        }

    def objects(self):
        capabilities = suites.capabilities_hash(self.capabilities)
        session = bytes.fromhex(self.session)
        return frame.object_keys(
            self.octets, self.suite, self.policy, capabilities, self.offer, session, self.generation
        )


def known(party, user, capabilities=None):
    held = party.state["policies"].get(user) or party.fetch_policy(user)
    offer = party.state["offer"] if party.state["role"] == "client" else None
    return suites.Known(unb64(held["hash"]), held["suites"], offer, capabilities)


def agree(party, bound, user, capabilities):
    """No silent downgrade; where the policy differs, with the policy as it is now."""
    try:
        suites.agree(bound, known(party, user, capabilities))
    except Refused as refused:
        if refused.reason != "policy_foreign":
            raise
        party.fetch_policy(user)
        suites.agree(bound, known(party, user, capabilities))


def accept(party, answer, *, user=None, session=None, generation=None, capabilities=None):
    """The key of an answer: its envelope opened, held against the rest and against what was agreed."""
    state = party.state
    kek, _, kid = party.epoch_keys()
    expected = envelope.Expected(
        state["service"], state["server"], state["pairing"], user, session, generation,
        state["generations"].get(answer["session"], 0),
    )  # fmt: skip
    content = envelope.open_key(answer["key"], kek, kid, expected, party.now())
    for name, member in (
        ("session", "sk_session"), ("generation", "sk_generation"), ("suite", "sk_suite"),
        ("not_before", "sk_nbf"), ("not_after", "sk_exp"),
    ):  # fmt: skip
        refuse_unless(answer[name] == content[member], f"{name}_foreign", "beside the envelope")
    bound = envelope.bound(content)
    agree(party, bound, content["sk_user"], capabilities)
    party.shown(unb64(content["sk_head"]))
    remember(party, content["sk_session"], content["sk_generation"], bound.capabilities)
    return Key(
        content["sk_session"], content["sk_generation"], bound.suite, content["sk_user"], content["sk_nbf"],
        content["sk_exp"], unb64(content["k"]), bound.policy, bound.capabilities, bound.offer,
    )  # fmt: skip


def remember(party, session, generation, capabilities):
    seen = party.state["generations"]
    seen[session] = max(generation, seen.get(session, 0))
    party.state["capabilities"][session] = capabilities
    party.state["capabilities"]["last"] = capabilities
    party.save()


def open_session(party, *, user=None, pairing=None, ttl=None, capabilities=CAPABILITIES):
    """As a server: a session for all of a user's pairings, or for one."""
    body = {"capabilities": capabilities} | ({"user": user} if user else {"pairing": pairing})
    if ttl is not None:
        body["ttl"] = ttl
    answer = party.ask("POST", "/v1/sessions", body, {"Idempotency-Key": secrets.token_hex(16)}).json()
    return accept(party, answer, user=user, capabilities=suites.canonical(capabilities))


def current(party, user=None):
    query = f"?user={quoted(user)}" if party.state["role"] == "server" else ""
    return party.ask("GET", f"/v1/sessions/current{query}").json()["items"]


def fetch_key(party, session, generation=None):
    query = "" if generation is None else f"?generation={generation}"
    answer = party.ask("GET", f"/v1/sessions/{session}/key{query}").json()
    named = party.state["capabilities"].get(session) if party.state["role"] == "server" else None
    return accept(
        party, answer, user=party.state["user"], session=session, generation=generation, capabilities=named
    )


def fetch_cose(party, session):
    """The same key in its other envelope, as a client that has seen this server's list."""
    state = party.state
    octets = party.ask("GET", f"/v1/sessions/{session}/key", headers={"Accept": COSE}).body
    _, kek, kid = party.epoch_keys()
    scope = state["service"], state["server"], state["user"], state["pairing"]
    opened = envelope.open_cose(octets, kek, kid, scope, party.now())
    refuse_unless(opened.session == session, "session_foreign")
    refuse_unless(opened.generation >= state["generations"].get(session, 0), "generation_older")
    if party.heads.shown_number(opened.revocations) != "fine":
        party.verdicts.append("lower")
    listed = known(party, state["user"], state["capabilities"].get("last"))
    suite = SUITE_NAMES[opened.suite]
    offer = envelope.match_context(suite, opened.ctx, listed)
    remember(party, session, opened.generation, listed.capabilities)
    return Key(
        session, opened.generation, suite, state["user"], opened.not_before, opened.not_after, opened.key,
        listed.policy, listed.capabilities, offer,
    )  # fmt: skip


def rotate(party, session):
    answer = party.ask("POST", f"/v1/sessions/{session}/rotate", {}).json()
    return accept(party, answer, session=session, capabilities=party.state["capabilities"].get(session))


def end(party, session):
    party.ask("DELETE", f"/v1/sessions/{session}")


def next_number(party, key):
    """The number of the next frame that a client sends: each once, so stored before it is used."""
    name = f"{key.session}.{key.generation}"
    number = party.state["numbers"].get(name, 0) + 1
    party.state["numbers"][name] = number
    party.save()
    return number


def seal(party, key, place, kind, value, log2=frame.RECORD_SIZE):
    """A frame under the key of our own direction."""
    objects = key.objects()
    own = objects.s2c if party.state["role"] == "server" else objects.c2s
    return frame.seal(objects, own, place, kind, value, log2=log2)


def open_sealed(party, session, place, octets):
    """The generation, kind and value of what the other side sealed, asking for the generation that its frame names."""
    refuse_unless(len(octets) >= frame.START, "truncated")
    named = int.from_bytes(octets[22:26], "big")
    key = fetch_key(party, session)
    if named != key.generation:
        key = fetch_key(party, session, named)
    objects = key.objects()
    theirs = objects.c2s if party.state["role"] == "server" else objects.s2c
    return named, *frame.open_frame(objects, theirs, place, octets)


def from_text(text):
    """A frame from the base64 that it travels as (object/xencrypted.abnf)."""
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("not_a_frame", "no base64") from None
    refuse_unless(base64.b64encode(octets).decode() == text, "not_a_frame", "spare bits that are not zero")
    return octets
