"""Offers, capabilities and the choice of a suite: proto/session/spec.md, sections 2 and 5."""

import re
from dataclasses import dataclass

from .notation import LEGACY, SUITES, Refused, is_token, lp, refuse_unless, sha256

SEVERAL = bytes(32)


def is_legacy(name):
    return name.upper() in LEGACY


def check_names(names, reason, least):
    refuse_unless(least <= len(names) <= 64 and all(map(is_token, names)), reason)
    refuse_unless(not any(map(is_legacy, names)), "suite_legacy")


def check_offer(names):
    check_names(names, "suites_malformed", 1)


def offer_hash(names):
    check_offer(names)
    return sha256(lp("offer", *names))


def upper(name):
    return re.sub("[a-z]", lambda found: found[0].upper(), name)


def canonical(capabilities):
    """ASCII-upper-cased, each once, sorted by octets."""
    check_names(capabilities, "capabilities_malformed", 0)
    return sorted({upper(name) for name in capabilities})


def check_canonical(capabilities):
    check_names(capabilities, "capabilities_malformed", 0)
    refuse_unless(canonical(capabilities) == capabilities, "capabilities_malformed")


def capabilities_hash(capabilities):
    return sha256(lp("capabilities", *canonical(capabilities)))


def first(order, *lists):
    for name in order:
        if name in SUITES and all(name in names for names in lists):
            return name
    raise Refused("suite_none")


def of_one(offer, policy, capabilities):
    return first(offer, policy, capabilities), offer_hash(offer)


def of_several(offers, policy, capabilities):
    return first(policy, capabilities, *offers), SEVERAL


@dataclass
class Known:
    """What a party holds a key against: a client its offer, a server the capabilities that it named."""

    policy: bytes
    suites: list
    offer: list | None = None
    capabilities: list | None = None


@dataclass
class Bound:
    """What an envelope says that its key is bound to."""

    suite: str
    policy: bytes
    capabilities: list
    offer: bytes


def agree(bound, known):
    """No silent downgrade: refuses a key before it is used."""
    refuse_unless(bound.policy == known.policy, "policy_foreign")
    if known.capabilities is not None:
        refuse_unless(bound.capabilities == known.capabilities, "capabilities_foreign")
    refuse_unless(bound.suite in known.suites and bound.suite in bound.capabilities, "suite_downgraded")
    if known.offer is None:
        return
    if bound.offer == SEVERAL:
        refuse_unless(bound.suite in known.offer, "suite_downgraded")
        return
    refuse_unless(bound.offer == offer_hash(known.offer), "offer_foreign")
    chosen, _ = of_one(known.offer, known.suites, bound.capabilities)
    refuse_unless(bound.suite == chosen, "suite_downgraded")
