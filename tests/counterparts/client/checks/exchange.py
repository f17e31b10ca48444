"""pairing/: exchanges, rekeys, digits and the following of signing keys."""

import copy

from cryptography.hazmat.primitives.asymmetric import mlkem

from .. import credential, keys, p256, signing, suites
from ..notation import Refused, b64, derive, extract, lp, mac, parse_json, refuse_unless, sha256, unb64
from ..pairing import (
    CLIENT_BOX, KEM_EK, Exchange, box_members, digits, epoch_keys, is_label, open_box, pairing_context, read_link,
    seal_box, transcript,
)  # fmt: skip
from ..rekey import Rekey
from ..spake2plus import Verifier, reduce, stretch, stretch_salt

BUILT_IN = ["A256GCM", "C20P"]
HEX = bytes.fromhex


def kem_public(octets):
    refuse_unless(len(octets) == KEM_EK, "BadKemKey")
    try:
        return mlkem.MLKEM768PublicKey.from_public_bytes(octets)
    except ValueError:
        raise Refused("BadKemKey") from None


class Service:
    """As much of the service as a case needs that the service refuses."""

    def __init__(self, case):
        given, drawn = case["given"], case["random"]
        self.case, self.given = case, given
        self.link = read_link(case["link"])
        self.key = signing.spki(signing.key_of_scalar(HEX(drawn["service_key"])))
        registration = p256.decode(HEX(case["stretch"]["L"]))
        w0 = int.from_bytes(HEX(case["stretch"]["w0"]), "big")
        self.verifier = Verifier(w0, registration, int.from_bytes(HEX(drawn["y"]), "big"))
        self.attempt = False

    def begin(self, request):
        share_p, kem_ek = unb64(request["share_p"]), unb64(request["kem_ek"])
        p256.decode(share_p)
        public = kem_public(kem_ek)
        self.attempt = True
        if request == self.case["begin"]:
            self.kem_ss, self.kem_ct = HEX(self.case["kem_ss"]), unb64(self.case["begin_answer"]["kem_ct"])
        else:
            self.kem_ss, self.kem_ct = public.encapsulate()
        given, self.key_hash = self.given, unb64(request["key_hash"])
        context = pairing_context(
            given["role"], given["server"], given["user"], self.key_hash, kem_ek, self.kem_ct, self.key
        )
        ids = given["invitation"].encode(), given["public_url"].encode()
        self.secrets = self.verifier.conclude(context, ids, share_p)
        self.th = transcript(context, self.link, share_p, self.verifier.share)
        self.root = extract(self.th, self.secrets.shared + self.kem_ss)
        answer = {
            "share_v": b64(self.verifier.share), "confirm_v": b64(self.secrets.confirm_v),
            "kem_ct": b64(self.kem_ct), "service_key": b64(self.key), "role": given["role"],
            "server": given["server"], "state": b64(HEX(self.case["random"]["state"])),
        }  # fmt: skip
        return answer | ({"user": given["user"]} if given["user"] else {})

    def finish(self, request):
        refuse_unless(request["state"] == b64(HEX(self.case["random"]["state"])), "StateUnknown")
        self.secrets.check(self.secrets.confirm_p, unb64(request["confirm_p"]))
        self.read_box(unb64(request["box"]))

    def read_box(self, box):
        content = box_members(open_box(derive(self.root, "box client"), box, self.th), CLIENT_BOX)
        key = unb64(content["key"])
        refuse_unless(sha256(key) == self.key_hash, "KeyMismatch")
        refuse_unless(signing.verifies(key, unb64(content["signature"]), lp("box client", self.th)), "Unsigned")
        refuse_unless(is_label(content["label"]), "BadLabel")
        try:
            suites.check_offer(content["offer"])
        except Refused as refused:
            raise Refused("LegacySuite" if refused.reason == "suite_legacy" else "BadOffer") from None
        common = any(name in BUILT_IN for name in content["offer"])
        refuse_unless(common or self.given["role"] == "server", "NoCommonSuite")


def client_of(case):
    given, drawn = case["given"], case["random"]
    link = read_link(case["link"])
    if not given["pinned"]:
        link.code = link.pin = None
    return Exchange(
        link, given["code"], given["role"], signing.key_of_scalar(HEX(drawn["client_key"])),
        x=int.from_bytes(HEX(drawn["x"]), "big"), kem_seed=HEX(drawn["kem_seed"]),
        stretched=HEX(case["stretch"]["w0s_w1s"]),
    )  # fmt: skip


def check_case(tally, case):
    name, given, drawn = case["name"], case["given"], case["random"]
    same = lambda what, got, wanted: tally.same(f"{name}, {what}", got, wanted)
    link = read_link(case["link"])
    wide = stretch(given["code"].replace("-", ""), link.invitation, link.public_url)
    same("salt", stretch_salt(link.invitation).hex(), case["stretch"]["salt"])
    same("w0s ‖ w1s", wide.hex(), case["stretch"]["w0s_w1s"])
    client, service = client_of(case), Service(case)
    same("w0", client.prover.w0.to_bytes(32, "big").hex(), case["stretch"]["w0"])
    same("w1", client.prover.w1.to_bytes(32, "big").hex(), case["stretch"]["w1"])
    same("L", p256.encode(p256.multiply(client.prover.w1, p256.G)).hex(), case["stretch"]["L"])
    same("begin", client.begin(), case["begin"])
    same("begin's answer", service.begin(case["begin"]), case["begin_answer"])
    client.begun(case["begin_answer"])
    spake, said = client.secrets, case["spake2plus"]
    same("Context", client.context.hex(), said["Context"])
    points = client.prover.points(unb64(case["begin_answer"]["share_v"]))
    same("Z, V", [p256.encode(point).hex() for point in points], [said["Z"], said["V"]])
    same("TT", spake.transcript.hex(), said["TT"])
    same("K_main", spake.main.hex(), said["K_main"])
    same("K_confirm", [key.hex() for key in spake.keys], [said["K_confirmP"], said["K_confirmV"]])
    same("confirm", [spake.confirm_p.hex(), spake.confirm_v.hex()], [said["confirm_p"], said["confirm_v"]])
    same("K_shared", spake.shared.hex(), said["K_shared"])
    same("th", client.th.hex(), case["th"])
    same("kem_ss", client.kem_ss.hex(), case["kem_ss"])
    same("root_0", client.root.hex(), case["root_0"])
    wanted = [case["kek_kw"], case["kek_gcm"], case["kid"]]
    same("epoch", [key.hex() for key in epoch_keys(client.root)], wanted)
    check_boxes(tally, case, client, service)


def check_boxes(tally, case, client, service):
    name, given, drawn = case["name"], case["given"], case["random"]
    for side, box in (("client", case["finish"]["box"]), ("service", case["finish_answer"]["box"])):
        said = case[f"box_{side}"]
        key = derive(client.root, f"box {side}")
        tally.same(f"{name}, key of the {side}'s box", key.hex(), said["key"])
        tally.same(f"{name}, signed by the {side}", lp(f"box {side}", client.th).hex(), said["signed"])
        plaintext = said["plaintext"].encode()
        tally.same(f"{name}, {side}'s box", b64(seal_box(key, HEX(drawn[f"{side}_nonce"]), plaintext, client.th)), box)
    tally.outcome(f"{name}, finish", lambda: service.finish(case["finish"]))
    ours = client.finish(given["label"], given["offer"])
    tally.outcome(f"{name}, our own finish", lambda: service.finish(ours))
    ours = parse_json(open_box(derive(client.root, "box client"), unb64(ours["box"]), client.th))
    theirs = parse_json(case["box_client"]["plaintext"])
    tally.same(f"{name}, members of the box", ours | {"signature": None}, theirs | {"signature": None})
    box = client.finished(case["finish_answer"])
    tally.same(f"{name}, the service's box", box, parse_json(case["box_service"]["plaintext"]))


def altered(message, change):
    changed = message | change
    return {name: value for name, value in changed.items() if value is not None}


def by(side, one, action, *arguments):
    """What `action` gives. Whoever refuses has to be the one that the case names: the other must not be asked."""
    try:
        return action(*arguments)
    except Refused as refused:
        refuse_unless(side == one["by"], f"{refused.reason} by the {side}")
        raise


def refusal(case, one):
    """Plays the exchange with one message changed on its way."""
    client, service = client_of(case), Service(case)
    put = lambda step, value: altered(value, one["change"]) if one["message"] == step else value
    try:
        answer = by("service", one, service.begin, put("begin", client.begin()))
        by("client", one, client.begun, put("begin_answer", answer))
        said = put("finish", client.finish(case["given"]["label"], case["given"]["offer"]))
        by("service", one, service.finish, said)
        by("client", one, client.finished, put("finish_answer", case["finish_answer"]))
    finally:
        if "attempt" in one:
            refuse_unless(service.attempt == one["attempt"], "another count of attempts")


def check_pairing(tally, vectors):
    for case in vectors["cases"]:
        check_case(tally, case)
    for one in vectors["reduce"]:
        tally.same("reduce", reduce(HEX(one["wide"])).to_bytes(32, "big").hex(), one["reduced"])
    for one in vectors["bad_shares"]:
        tally.outcome(one["why"], lambda: p256.decode(HEX(one["share"])), reason="BadShare")
    case = vectors["cases"][0]
    for one in vectors["refusals_of_the_first_case"]:
        tally.outcome(one["why"], lambda: refusal(case, one), reason=one["reason"])
    for one in vectors["boxes_of_the_first_case"]:
        client, service = client_of(case), Service(case)
        client.begun(service.begin(case["begin"]))
        reader = service.read_box if one["side"] == "client" else client.open_service_box
        tally.outcome(one["why"], lambda: reader(unb64(one["box"])), reason=one["reason"])


def check_approval(tally, vectors):
    for one in vectors["digits"]:
        tally.same(one["name"], digits(HEX(one["th"]), HEX(one["client_key"])), one["digits"])
    case = tally.read("pairing/vectors.json")["cases"][0]
    client = client_of(case)
    client.begun(case["begin_answer"])
    for one in vectors["boxes_of_the_first_case"]:
        box, plaintext = unb64(one["box"]), one["plaintext"]
        sealed = seal_box(derive(client.root, "box service"), HEX(one["nonce"]), plaintext.encode(), client.th)
        tally.same(f"{one['why']}, sealed", sealed, box)
        wanted = None if one["reason"] else parse_json(plaintext)
        tally.outcome(one["why"], lambda: client.open_service_box(box), wanted, one["reason"])


def party_of(case):
    drawn = case["random"]
    return Rekey(
        case["request"]["from"], HEX(case["root"]), scalar=int.from_bytes(HEX(drawn["party_scalar"]), "big"),
        kem_seed=HEX(drawn["kem_seed"]), nonce=HEX(drawn["nonce"]),
    )  # fmt: skip


def service_refuses(case, request):
    """The checks of the service, for what a changed request that it takes leads to at the party."""
    epoch = case["request"]["from"]
    refuse_unless(request["from"] >= epoch, "EpochPassed")
    refuse_unless(request["from"] == epoch, "EpochUnknown")
    p256.decode(unb64(request["point"]), "BadPoint")
    kem_public(unb64(request["kem_ek"]))


def rekey_refusal(case, one):
    party = party_of(case)
    if one["message"] == "answer":
        return by("party", one, party.answered, case["answer"] | one["change"])
    request = party.request() | one["change"]
    by("service", one, service_refuses, case, request)
    # The service took another request than we sent; what it answers is to that one.
    scalar = int.from_bytes(HEX(case["random"]["service_scalar"]), "big")
    shared = p256.multiply(scalar, p256.decode(unb64(request["point"])))[0].to_bytes(32, "big")
    kem_ss, kem_ct = kem_public(unb64(request["kem_ek"])).encapsulate()
    answer = case["answer"] | {"kem_ct": b64(kem_ct)}
    asked = lp(
        "rekey request", request["from"].to_bytes(4, "big"), *(unb64(request[x]) for x in ("point", "kem_ek", "nonce"))
    )
    told = lp(
        "rekey answer", answer["to"].to_bytes(4, "big"), unb64(answer["point"]), kem_ct,
        answer["not_after"].to_bytes(4, "big"),
    )  # fmt: skip
    root = extract(sha256(asked + told), HEX(case["root"]) + shared + kem_ss)
    answer["confirm"] = b64(mac(derive(root, "rekey confirm"), asked))
    return by("party", one, party.answered, answer)


def check_rekey(tally, vectors):
    for case in vectors["cases"]:
        party = party_of(case)
        tally.same(f"{case['name']}, request", party.request(), case["request"])
        tally.outcome(case["name"], lambda: party.answered(case["answer"]).hex(), case["next_root"])
        said = [case["ecdh_x"], case["kem_ss"], case["salt"]]
        tally.same(f"{case['name']}, x, kem_ss, salt", [party.x.hex(), party.kem_ss.hex(), party.salt.hex()], said)
        kw, _, kid = epoch_keys(HEX(case["next_root"]))
        tally.same(f"{case['name']}, epoch", [kw.hex(), kid.hex()], [case["kek_kw"], case["kid"]])
    for one in vectors["refusals_of_the_first_case"]:
        tally.outcome(one["why"], lambda: rekey_refusal(vectors["cases"][0], one), reason=one["reason"])


def held_of(said):
    previous = [{"key": HEX(one["key"]), "until": one["until"]} for one in said.get("previous", [])]
    return keys.Held(HEX(said["key"]), said["number"], previous)


def check_keys(tally, vectors):
    for key in vectors["keys"]:
        spki = signing.spki(signing.load_private(HEX(key["pkcs8"])))
        tally.same("spki, kid", (spki.hex(), signing.pin(spki)), (key["spki"], key["kid"]))
    for one in vectors["follow"]:
        before = held_of(one["held"])
        wanted = held_of(one["known"]) if "known" in one else None
        answer = copy.deepcopy(one["answer"])
        tally.outcome(
            one["name"], lambda: keys.follow(before, vectors["service"], answer), wanted, one.get("refused")
        )
        tally.same(f"{one['name']}: what was held stays as it is", before, held_of(one["held"]))


def check_credential(tally, vectors):
    for one in vectors["digests"]:
        symbols = credential.read_secret(one["secret"].encode())
        tally.same(f"{one['name']}: what is meant", symbols, one["symbols"])
        tally.same(one["name"], credential.kept(HEX(one["key"]), one["server"], one["user"], symbols), HEX(one["digest"]))
    for one in vectors["typed"]:
        reason = None if one["symbols"] else "malformed"
        tally.outcome(one["octets"][:40], lambda: credential.read_secret(HEX(one["octets"])), one["symbols"], reason)


CHECKS = {
    "pairing/vectors.json": check_pairing,
    "pairing/approval.json": check_approval,
    "pairing/rekey.json": check_rekey,
    "pairing/keys.json": check_keys,
    "pairing/credential.json": check_credential,
}
