"""session/: keys, suites, tokens, policies and envelopes. What only a service decides is checked as plain rules."""

from .. import envelope, policy, signing, suites, tokens
from ..notation import SUITE_NAMES, b64, derive, refuse_unless, u32

HEX = bytes.fromhex


def ttl(asked):
    refuse_unless(asked is None or 60 <= asked <= 86400, "ttl_out_of_range")
    return 3600 if asked is None else asked


def generation(rotations, asked, now):
    """Section 4: which generation a fetch is given."""
    current = len(rotations)
    if asked is None or asked == current:
        return current
    refuse_unless(asked < current, "generation_unknown")
    last = rotations[-1]
    refuse_unless(asked == current - 1, "generation_passed")
    refuse_unless(last["cause"] != "revocation", "generation_revoked")
    refuse_unless(last["cause"] == "asked" and now < last["at"] + 120, "generation_passed")
    return asked


def check_lists(tally, vectors):
    for one in vectors["session_keys"]:
        got = derive(HEX(one["root"]), "session", HEX(one["session"]), u32(one["generation"]))
        tally.same("session key", got.hex(), one["key"])
    for one in vectors["capabilities"]:
        listed, wanted = one["list"], (one.get("canonical"), one.get("hash"))
        action = lambda: (suites.canonical(listed), suites.capabilities_hash(listed).hex())
        tally.outcome(f"capabilities {listed}", action, wanted, one.get("refused"))
    for one in vectors["offers"]:
        action = lambda: suites.offer_hash(one["names"]).hex()
        tally.outcome(f"offer {one['names']}", action, one.get("hash"), one.get("refused"))
    for kind, choose, of in (("of_one", suites.of_one, "offer"), ("of_several", suites.of_several, "offers")):
        for one in vectors[kind]:
            action = lambda: choose(one[of], one["policy"], one["capabilities"])
            wanted = (one.get("suite"), HEX(one.get("offer_hash", "")))
            tally.outcome(f"{kind} {one}", action, wanted, one.get("refused"))
    for one in vectors["ttl"]:
        tally.outcome(f"ttl {one['asked']}", lambda: ttl(one["asked"]), one.get("ttl"), one.get("refused"))
    for one in vectors["generations"]:
        action = lambda: generation(one["rotations"], one["asked"], one["now"])
        tally.outcome(f"generation {one}", action, one.get("generation"), one.get("refused"))


def check_tokens(tally, vectors):
    key, service = signing.load_private(HEX(vectors["key"]["pkcs8"])), vectors["service"]
    der = signing.spki(key)
    tally.same("spki", der.hex(), vectors["key"]["spki"])
    for one in vectors["cases"]:
        wanted = (one.get("party"), one.get("kek"), one.get("until"))
        action = lambda: tokens.verify(one["token"], der, service, one["now"])
        tally.outcome(f"token: {one['name']}", action, wanted, one.get("refused"))
    ours = tokens.issue(key, vectors["party"], service, 1700000000, bytes(8))
    wanted = (vectors["party"], b64(bytes(8)), 1700000000 + tokens.LIFETIME + 60)
    tally.outcome("token: our own", lambda: tokens.verify(ours, der, service, 1700000000), wanted)


def check_policies(tally, vectors):
    der = signing.spki(signing.load_private(HEX(vectors["key"]["pkcs8"])))
    tally.same("spki, kid", (der.hex(), signing.pin(der)), (vectors["key"]["spki"], vectors["key"]["kid"]))
    for one in vectors["cases"]:
        seen = (one["seen"]["version"], HEX(one["seen"]["hash"])) if one["seen"] else None

        def action():
            found = policy.verify(one["jws"], [der], vectors["scope"], seen)
            return found.content, found.hash.hex()

        tally.outcome(f"policy: {one['name']}", action, (one.get("policy"), one.get("hash")), one.get("refused"))


def check_jose(tally, vectors):
    kek, kid = HEX(vectors["kek"]["kw"]), HEX(vectors["kek"]["id"])

    def expected(changes):
        said = vectors["expected"] | changes
        said["seen"] = said.pop("generation_seen")
        return envelope.Expected(**said)

    for one in vectors["cases"]:
        action = lambda: envelope.open_key(one["jwe"], kek, kid, expected(one["expected"]), one["now"])
        tally.outcome(f"JOSE: {one['name']}", action, one.get("payload"), one.get("refused"))
    for one in vectors["sets"]:
        # The cases tell of the set alone: whose keys they are is expected of any user's, as they stand.
        wanted = [expected({"user": None, "session": None})] * one["count"]
        action = lambda: envelope.open_set(one["jwe"], kek, kid, wanted, 1700000000)
        tally.outcome(f"JOSE set: {one['name']}", action, one.get("keys"), one.get("refused"))


def check_cose(tally, vectors):
    kek, kid, said = HEX(vectors["kek"]["gcm"]), HEX(vectors["kek"]["id"]), vectors["scope"]
    scope = said["service"], said["server"], said["user"], said["pairing"]
    for one in vectors["cases"]:

        def action():
            found = envelope.open_cose(HEX(one["cose"]), kek, kid, scope, one["now"])
            return {name: value.hex() if isinstance(value, bytes) else value for name, value in vars(found).items()}

        names = ("suite", "session", "generation", "revocations", "not_before", "not_after", "key", "ctx")
        tally.outcome(f"COSE: {one['name']}", action, {name: one.get(name) for name in names}, one.get("refused"))
    longest = vectors["longest_names"]
    scope = said["service"], longest["server"], longest["user"], said["pairing"]
    found = envelope.open_cose(HEX(longest["cose"]), kek, kid, scope, 1700000000)
    ctx = envelope.context_hash(HEX(vectors["policy"]), vectors["capabilities"], suites.offer_hash(vectors["offer"]))
    tally.same("COSE: the longest names", (SUITE_NAMES[found.suite], found.ctx), ("A256GCM", ctx))
    for one in vectors["lists"]:
        known = known_of(one["known"])
        action = lambda: envelope.match_context(one["carried"]["suite"], HEX(one["carried"]["ctx"]), known).hex()
        tally.outcome(f"COSE lists: {one['name']}", action, one.get("offer"), one.get("refused"))


def known_of(said):
    return suites.Known(HEX(said["policy"]), said["suites"], said["offer"], said["capabilities"])


def check_agreement(tally, vectors):
    for one in vectors:
        said = one["bound"]
        bound = suites.Bound(said["suite"], HEX(said["policy"]), said["capabilities"], HEX(said["offer"]))
        action = lambda: suites.agree(bound, known_of(one["known"]))
        tally.outcome(f"agreement: {one['name']}", action, None, one.get("refused"))


def check(tally, vectors):
    check_lists(tally, vectors)
    check_tokens(tally, vectors["tokens"])
    check_policies(tally, vectors["policies"])
    check_jose(tally, vectors["envelopes"])
    check_cose(tally, vectors["cose"])
    check_agreement(tally, vectors["agreement"])


CHECKS = {"session/vectors.json": check}
