"""What schemathesis cannot guess: names of what there is, digits, shares, a key's name, an ETag.

Three of four requests that are right by the document are made to mean something; the fourth, and all that are wrong, go as
they were made. What the harness has prepared comes from SIDEKEY_POOL; what a request consumes is made anew by requests
of the hooks' own. How everything was answered is written to SIDEKEY_ANSWERS at the end.
"""

import atexit
import itertools
import json
import os
import time
from collections import Counter, defaultdict
from pathlib import Path

import requests
import schemathesis

# What the document cannot say, so that what it allows is refused: by the problem's code and the member it names.
UNSAID = {
    ("query_invalid", "page_token"): "opaque: only what a page gave is one",
    ("query_invalid", "user"): "a server says whose; a client need not, and the document is one for both",
    ("rate_limited", None): "past five wrong secrets of a user in a minute; every other limit is far away here",
    ("share_invalid", None): "no schema says which octets are a point of a curve, or an encapsulation key",
}

# What is wrong by the document and nevertheless no reason to refuse: by the header.
PASSED_OVER = {
    "Sidekey-Head": "one that is no head is counted and passed over: proto/revocation/spec.md, section 4",
}

POOL = json.loads(Path(os.environ["SIDEKEY_POOL"]).read_text())
ROLE = POOL["role"]
# What no request can succeed at unless the service was restored from an older copy, which has a run of its own.
WITHOUT_SUCCESS = {} if "missing" in POOL else {
    "restore_accept": "there is nothing to accept",
    "restore_report": "there is nothing to report",
}
FULL = ["XENCRYPTED", "A256GCM", "C20P"]

answers = defaultdict(Counter)
turns = defaultdict(itertools.count)
fresh = itertools.count()
# Invitations that somebody may use up: each costs the service an Argon2id.
made = []
service = requests.Session()


def ask(who, method, path, body=None):
    headers = {"Authorization": "Bearer " + POOL["tokens"][who], "Idempotency-Key": f"hooks-{next(fresh):016}"}
    # Said each time: the environment's authorities would come before the session's own.
    answer = service.request(
        method, POOL["url"] + path, json=body, headers=headers, timeout=10, verify=POOL["ca"]
    )
    assert answer.ok, f"{method} {path}: {answer.text}"
    return answer


def session():
    return ask("server", "POST", "/v1/sessions", {"user": POOL["user"], "capabilities": FULL}).json()["session"]


def delivery():
    """One that waits."""
    body = {"pairing": POOL["device"], "capabilities": FULL, "deliver": ["sms"]}
    ask("server", "POST", "/v1/sessions", body)
    # The first may be on its way for a moment, until its bearer has failed.
    for _ in range(200):
        if waiting := ask("admin", "GET", "/v1/deliveries?page_size=1000&state=queued").json()["items"]:
            return waiting[-1]["delivery"]
        time.sleep(0.05)
    raise AssertionError("no delivery waits")


def invitation():
    if made:
        return made.pop()
    body = {"role": "client", "server": POOL["server"], "user": POOL["user"]}
    return ask("admin", "POST", "/v1/invitations", body).json()["invitation"]


def credential():
    # Of a user of its own: nobody has too many.
    body = {"server": POOL["server"], "user": f"proxied-{next(fresh)}@example.org", "label": "push"}
    return ask("admin", "POST", "/v1/credentials", body).json()


def server():
    return ask("admin", "POST", "/v1/servers", {"name": f"gone-{next(fresh)}.example"}).json()["name"]


def lasting(make, kept={}):
    """The same one, each time."""
    if make not in kept:
        kept[make] = make()
    return kept[make]


def path(case, **values):
    case.path_parameters = {**case.path_parameters, **values}


def body(case, **values):
    given = case.body if isinstance(case.body, dict) else {}
    case.body = {name: value for name, value in {**given, **values}.items() if value is not None}


def query(case, **values):
    case.query = {**case.query, **values}


def header(case, name, value):
    case.headers[name] = value


def taken(kind):
    """One of what the harness has prepared; none when all are used."""
    return POOL[kind].pop() if POOL[kind] else None


def any_session(case):
    path(case, session=lasting(session))


def own_policies(case):
    """Of a server that nothing else happens at."""
    path(case, **{name: POOL["quiet"][name] for name in case.path_parameters})


def change_policy(case):
    own_policies(case)
    header(case, "If-Match", ask("admin", "GET", case.formatted_path).headers["ETag"])
    if isinstance(case.body, dict):
        for usual in ("invitation_ttl", "session_ttl"):
            pair = sorted(filter(None, (case.body.get(usual), case.body.get(usual + "_max"))))
            body(case, **dict(zip((usual, usual + "_max"), pair)) if len(pair) == 2 else {})


def set_address(case):
    path(case, pairing=POOL["other"], carrier="sms")
    body(case, to=f"+4917{next(fresh):08}")


def clear_address(case):
    path(case, pairing=POOL["other"], carrier="sms")
    ask("admin", "PUT", case.formatted_path, {"to": "+491700000001"})


def invite(case):
    client = case.body.get("role") == "client"
    body(case, server=POOL["server"], user=POOL["user"] if client else None)
    if (case.body.get("ttl") or 0) > 900:
        body(case, approval="admin")


def reissue(case):
    path(case, invitation=invitation())
    if isinstance(case.body, dict) and (case.body.get("ttl") or 0) > 900:
        body(case, ttl=900)


def exchange(kind):
    def fill(case):
        path(case, invitation=POOL[kind]["invitation"])
        body(case, **POOL[kind]["body"])

    return fill


def approve(case):
    if waits := taken("approve"):
        path(case, pairing=waits["pairing"])
        body(case, digits=waits["digits"])


def refuse(case):
    if waits := taken("refuse"):
        path(case, pairing=waits["pairing"])


def rotate_key(case):
    kid = ask("admin", "GET", "/v1/keys").json()["keys"][0]["kid"]
    # What was made under the last key is still needed.
    body(case, **{"from": kid, "overlap": max(case.body.get("overlap") or 0, 86_400)})


def revoke(case):
    if ROLE == "admin":
        makes = [
            lambda: {"kind": "session", "session": session()},
            lambda: {"kind": "invitation", "invitation": invitation()},
            lambda: {"kind": "credential", "credential": credential()["credential"]},
            lambda: {"kind": "server", "server": server()},
            lambda: {"kind": "pairing", "pairing": taken("spares")["pairing"]},
            lambda: {"kind": "user", "server": POOL["server"], "user": taken("spares")["user"]},
        ]
        body(case, target=makes[next(fresh) % (6 if POOL["spares"] else 4)]())
    elif spare := taken("spares"):
        header(case, "Authorization", "Bearer " + spare["token"])
        body(case, target={"kind": "pairing", "pairing": spare["pairing"]})
    else:
        body(case, target={"kind": "pairing", "pairing": POOL["pairing"]})
        query(case, dry_run="true")


def issue_credential(case):
    body(case, server=POOL["server"], user=f"proxied-{next(fresh)}@example.org")


def verify_credential(case):
    known = lasting(credential)
    body(case, user=known["user"], secret=known["secret"])


def open_session(case):
    one = {"pairing": POOL["device"]} if case.body.get("pairing") else {"user": POOL["user"]}
    capabilities = case.body.get("capabilities", [])[:32] + FULL
    body(case, **{"user": None, "pairing": None, **one}, capabilities=capabilities, deliver=[])
    header(case, "Idempotency-Key", f"open-{next(fresh):016}")


def open_batch(case):
    audiences = [{"user": POOL["user"]}, {"pairing": POOL["device"]}]
    body(case, audiences=audiences, capabilities=case.body.get("capabilities", [])[:32] + FULL)
    header(case, "Idempotency-Key", f"batch-{next(fresh):016}")


def accept_restore(case):
    """What it would do, or the service would not be a restored one any more."""
    if "missing" in POOL:
        query(case, dry_run="true")
        header(case, "If-Match", ask("admin", "GET", "/v1/restore").headers["ETag"])
        body(case, missing=POOL["missing"])


def about_delivery(case):
    path(case, **POOL["gateway"])
    query(case, ref="never-sent", d="1")


def about_user(case):
    query(case, user=POOL["user"])


FILL = {
    # From long before there was anything.
    "audit_prune": lambda case: body(case, before=case.body.get("before", 0) % 1_700_000_000),
    "audit_record": lambda case: path(case, record=1 + next(fresh) % 10),
    "credential_issue": issue_credential,
    "credential_shown": lambda case: path(case, credential=lasting(credential)["credential"]),
    "credential_verify": verify_credential,
    "credential_withdraw": lambda case: path(case, credential=credential()["credential"]),
    "delivery_cancel": lambda case: path(case, delivery=delivery()),
    "delivery_clear_address": clear_address,
    "delivery_delivery": lambda case: path(case, delivery=lasting(delivery)),
    "delivery_report": about_delivery,
    "delivery_report_in_a_body": about_delivery,
    "delivery_retry": lambda case: path(case, delivery=lasting(delivery)),
    "delivery_set_address": set_address,
    "keys_rotate": rotate_key,
    "pairing_approve": approve,
    "pairing_begin": exchange("begin"),
    "pairing_finish": exchange("finish"),
    "pairing_invitation": lambda case: path(case, invitation=POOL["begin"]["invitation"]),
    "pairing_invite": invite,
    "pairing_refuse": refuse,
    "pairing_reissue": reissue,
    "pairing_rekey": lambda case: body(case, **POOL["rekey"]),
    "pairing_server": lambda case: path(case, server=POOL["server"]),
    "pairing_shown": lambda case: path(case, pairing=POOL["pairing"]),
    "policies_of_server": own_policies,
    "policies_of_user": own_policies,
    "policies_set_server": change_policy,
    "policies_set_service": change_policy,
    "policies_set_user": change_policy,
    "policies_unset_server": change_policy,
    "policies_unset_service": change_policy,
    "policies_unset_user": change_policy,
    "policy_policy": about_user,
    "restore_accept": accept_restore,
    "restore_report": lambda case: body(case, revocations=[]),
    "revocation_revoke": revoke,
    "session_current": about_user,
    "session_end": lambda case: path(case, session=session()),
    "session_key": any_session,
    "session_open": open_session,
    "session_open_batch": open_batch,
    "session_rotate": any_session,
    "session_shown": any_session,
}


def of(operation):
    return operation.definition.raw


def whole(value):
    """60.0 is an integer to JSON Schema, and none to the service: proto/README.md."""
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = of(case.operation)
    name = operation["operationId"]
    if operation.get("x-stream"):
        # Of another history: the stream begins with an event that says so.
        case.headers.setdefault("Last-Event-ID", "another")
        kwargs["timeout"] = 1
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict):
        case.body = whole(case.body)
    if name in FILL and next(turns[name]) % 4 < 3:
        FILL[name](case)


@schemathesis.hook
def after_call(context, case, response):
    operation = of(case.operation)
    answers[operation["operationId"]][response.status_code] += 1
    if response.status_code == 201 and operation["operationId"] in ("pairing_invite", "pairing_reissue"):
        made.append(response.json()["invitation"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        problem = response.json()
        fields = [error["field"] for error in problem.get("errors", [])] or [None]
        return any((problem["code"], field) not in UNSAID for field in fields)
    if kind == "AcceptedNegativeData":
        data = case.meta.phase.data
        # A further parameter alone is never a finding of schemathesis: one without a value is not sent.
        told = [mutation for mutation in data.mutations if mutation.keywords != ("additionalProperties",)]
        wrong = {mutation.parameter for mutation in told} or {data.parameter}
        return not wrong <= PASSED_OVER.keys()
    return True


@atexit.register
def report():
    told = {name: dict(counts) for name, counts in answers.items()}
    Path(os.environ["SIDEKEY_ANSWERS"]).write_text(json.dumps({"answers": told, "without_success": WITHOUT_SUCCESS}))
