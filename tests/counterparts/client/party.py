"""A paired party: what it stores, and the requests that it signs."""

import json
import os
import time
from pathlib import Path
from urllib.parse import quote

from . import keys, pairing, policy, signing, tokens
from .heads import Heads
from .notation import Refused, b64, refuse_unless, unb64
from .rekey import Rekey
from .transport import Problem, Transport

RENEW_BEFORE = 6 * 86400
OFFER = ["A256GCM", "C20P"]


def pair(link_text, *, role, ca, url=None, code=None, handed_over=False, label="counterpart", offer=OFFER):
    """Two round trips; gives the new party's state, and the digits that it shows."""
    link = pairing.read_link(link_text)
    code = code or link.code
    refuse_unless(code, "code_missing", "this link has none")
    key = signing.new_key()
    exchange = pairing.Exchange(link, code, role, key)
    transport = Transport(url or link.public_url, ca)
    route = f"/v1/pairings/{link.invitation}"
    exchange.begun(transport.ask("POST", f"{route}/begin", exchange.begin()).json())
    answer = transport.ask("POST", f"{route}/finish", exchange.finish(label, offer))
    box = exchange.finished(answer.json())
    state = {
        "url": url or link.public_url,
        "ca": ca,
        "role": role,
        "server": exchange.server,
        "user": exchange.user,
        "pairing": box["pairing"],
        "service": box["service"],
        "key": b64(signing.private_der(key)),
        "offer": offer,
        "state": box["state"],
        "match": box["state"] == "confirmed" and link.pin is None,
        "epochs": [{"epoch": 0, "root": b64(exchange.root), "not_after": box["not_after"]}],
        "service_key": {"key": b64(exchange.service_key), "number": None, "previous": []},
        "heads": Heads().save(),
        "policies": {},
        "generations": {},
        "capabilities": {},
        "numbers": {},
    }
    party = Party(state)
    if link.pin is None and not handed_over and box["state"] == "active":
        target = {"kind": "pairing", "pairing": state["pairing"]}
        party.ask_as_it_is("POST", "/v1/revocations", {"target": target, "reason": "its code was sent"})
        raise Refused("Unvouched", "the code was sent, no pin names the service, and nobody is to approve us")
    if role == "client":
        party.accept_policy(exchange.user, box["policy"])
    return party, exchange.digits()


class Party:
    def __init__(self, state, path=None):
        self.state, self.path = state, Path(path) if path else None
        self.transport = Transport(state["url"], state["ca"])
        self.key = signing.load_private(unb64(state["key"]))
        self.heads = Heads.load(state["heads"])
        self.offset = 0
        self.verdicts = []

    @classmethod
    def load(cls, path):
        return cls(json.loads(Path(path).read_text()), path)

    def save(self):
        """Durably: what comes after this call may rely on it."""
        self.state["heads"] = self.heads.save()
        if not self.path:
            return
        new = self.path.with_name(f"{self.path.name}.new")
        with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def now(self):
        """Our clock, corrected by the service's."""
        return int(time.time() + self.offset)

    # The epoch in use is the last one: the next, where one was agreed on.

    @property
    def epoch(self):
        return self.state["epochs"][-1]

    def epoch_keys(self):
        return pairing.epoch_keys(unb64(self.epoch["root"]))

    def headers(self):
        _, _, kid = self.epoch_keys()
        token = tokens.issue(self.key, self.state["pairing"], self.state["service"], self.now(), kid)
        return {"Authorization": f"Bearer {token}"} | self.heads.header()

    def ask(self, method, route, body=None, headers=None):
        """A request of an active pairing; renews its root first where that is due."""
        refuse_unless(self.state["state"] == "active", "approval_pending", "see `status`")
        if self.now() >= self.epoch["not_after"] - RENEW_BEFORE:
            self.rekey()
        return self.ask_as_it_is(method, route, body, headers)

    def ask_as_it_is(self, method, route, body=None, headers=None):
        try:
            answer = self.send(method, route, body, headers)
        except Problem as problem:
            if problem.code != "kek_unknown" or len(self.state["epochs"]) == 1:
                raise
            self.state["epochs"].pop()
            self.save()
            answer = self.send(method, route, body, headers)
        self.offset = answer.clock() - time.time()
        del self.state["epochs"][:-1]
        self.save()
        return answer

    def send(self, method, route, body, headers):
        try:
            answer = self.transport.ask(method, route, body, self.headers() | (headers or {}))
        except Problem as problem:
            self.heard(problem.headers)
            self.save()
            raise
        self.heard(answer.headers)
        return answer

    def heard(self, headers):
        if headers["Sidekey-Head"]:
            self.shown(unb64(headers["Sidekey-Head"], 32))

    def shown(self, head):
        verdict = self.heads.shown(head)
        if verdict != "fine":
            self.verdicts.append(verdict)

    def rekey(self):
        """Agrees on the next epoch, which the next request uses."""
        if len(self.state["epochs"]) > 1:
            self.ask_as_it_is("GET", "/v1/pairings/self")
        epoch = self.epoch
        step = Rekey(epoch["epoch"], unb64(epoch["root"]))
        answer = self.ask_as_it_is("POST", "/v1/pairings/self/rekey", step.request()).json()
        root = step.answered(answer)
        following = {"epoch": answer["to"], "root": b64(root), "not_after": answer["not_after"]}
        self.state["epochs"].append(following)
        self.save()

    def status(self):
        shown = self.ask_as_it_is("GET", "/v1/pairings/self").json()
        # A client without a pin knows its service by the digits alone: it waits for its own user's word.
        if shown["state"] == "active" and not self.state["match"]:
            self.state["state"] = "active"
        self.save()
        return shown

    def match(self):
        """Its user said that the service took the digits."""
        shown = self.ask_as_it_is("POST", "/v1/pairings/self/match").json()
        self.state["match"] = False
        self.state["state"] = shown["state"]
        self.save()
        return shown

    # What the service signs.

    def held(self):
        said = self.state["service_key"]
        previous = [{"key": unb64(one["key"]), "until": one["until"]} for one in said["previous"]]
        return keys.Held(unb64(said["key"]), said["number"], previous)

    def follow_keys(self):
        answer = self.transport.ask("GET", "/v1/keys", headers=self.heads.header()).json()
        held = keys.follow(self.held(), self.state["service"], answer)
        previous = [{"key": b64(one["key"]), "until": one["until"]} for one in held.previous]
        self.state["service_key"] = {"key": b64(held.key), "number": held.number, "previous": previous}
        self.save()
        return held

    def signing_keys(self):
        """The known key, and those before it whose time is not over."""
        held = self.held()
        return [held.key, *(one["key"] for one in held.previous if self.now() < one["until"])]

    def accept_policy(self, user, text):
        scope = {"service": self.state["service"], "server": self.state["server"], "user": user}
        kept = self.state["policies"].get(user)
        seen = (kept["version"], unb64(kept["hash"])) if kept else None
        try:
            found = policy.verify(text, self.signing_keys(), scope, seen)
        except Refused as refused:
            if refused.reason != "key_foreign":
                raise
            self.follow_keys()
            found = policy.verify(text, self.signing_keys(), scope, seen)
        self.state["policies"][user] = {
            "version": found.content["version"],
            "hash": b64(found.hash),
            "suites": found.suites,
            "items": found.content["items"],
        }
        self.save()
        return self.state["policies"][user]

    def fetch_policy(self, user):
        query = f"?user={quoted(user)}" if self.state["role"] == "server" else ""
        return self.accept_policy(user, self.ask("GET", f"/v1/policy{query}").json()["policy"])


def quoted(text):
    return quote(text, safe="")
