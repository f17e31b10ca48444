"""object/: places, lengths and frames of both directions."""

from .. import frame, place
from ..notation import b64, sha256, unb64

TYPES = {"header-like": place.HEADER_LIKE, "body": place.BODY, "partial": place.PARTIAL}


def keys_of(said):
    hashes = (unb64(said[f"{name}_hash"], 32) for name in ("policy", "capabilities", "offer"))
    return frame.object_keys(
        unb64(said["session_key"]), said["suite"], *hashes, bytes.fromhex(said["session"]), said["generation"]
    )


def asked(said):
    """The place of a FETCH."""
    return place.fetch(
        said["mailbox"], said["separator"], said["uid_validity"], said["uid"], said["item"], said["partial"]
    )


def sent(said):
    """The place of an APPEND or a SEARCH."""
    if said["operation"] == "SEARCH":
        return place.search(
            said["mailbox"], said["separator"], said["uid_validity"], said["pairing"], said["number"], said["key"],
            said["field"],
        )  # fmt: skip
    date = place.seconds(said["date"]) if said["date"] else None
    return place.append(
        said["mailbox"], said["separator"], said["pairing"], said["number"], said["flags"], date
    )


def value_of(one):
    if "value" in one:
        return unb64(one["value"])
    unit, octets = unb64(one["value_repeat"]), one["value_octets"]
    return (unit * (octets // len(unit) + 1))[:octets]


def check_keys(tally, vectors):
    keys = {name: keys_of(said) for name, said in vectors["keys"].items()}
    for name, said in vectors["keys"].items():
        tally.same(f"keys {name}", (b64(keys[name].s2c), b64(keys[name].c2s)), (said["s2c"], said["c2s"]))
    return keys


def check_places(tally, vectors):
    for one in vectors["mailboxes"]:
        got = place.mailbox(one["name"], one["separator"])
        tally.same(f"mailbox {one['name']}", (got, b64(sha256(got.encode()))), (one["canonical"], one["sha256"]))
    for one in vectors["mailboxes_refused"]:
        action = lambda: place.mailbox(one["name"], one["separator"])
        tally.outcome(f"mailbox {one['name']!r}", action, reason=one["reason"])
    for one in vectors["items"]:
        wanted = one["canonical"], TYPES[one["type"]], one["has_partial"]
        tally.outcome(f"item {one['item']}", lambda: place.item(one["item"]), wanted)
    for one in vectors["items_refused"]:
        tally.outcome(f"item {one['item']!r}", lambda: place.item(one["item"]), reason=one["reason"])
    for one in vectors["partials_refused"]:
        action = lambda: place.fetch("INBOX", "/", 1, 1, one["item"], (one["origin"], one["count"]))
        tally.outcome(f"partial {one}", action, reason=one["reason"])
    for one in vectors["lengths"]:
        got = frame.frame_length(TYPES[one["type"]], one["value_octets"], one["count"], one["record_size_log2"])
        tally.same(f"length {one}", got, one["frame_octets"])


def check_frames(tally, vectors, keys, direction, place_of):
    for one in vectors["frames"]:
        at, own, value = place_of(one["place"]), keys[one["keys"]], value_of(one)
        tally.same(f"{one['name']}, context", b64(at.context()), one["context"])
        salt, log2 = unb64(one["salt"]), one.get("record_size_log2", 12)
        got = frame.seal(own, getattr(own, direction), at, one["kind"], value, log2=log2, salt=salt)
        tally.same(f"{one['name']}, sealed", b64(got), one["frame"])
        action = lambda: frame.open_frame(own, getattr(own, direction), at, unb64(one["frame"]))
        tally.outcome(f"{one['name']}, opened", action, (one["kind"], value))


def change_frame(octets, change):
    if "cut" in change:
        return octets[: change["cut"]]
    if "append" in change:
        return octets + unb64(change["append"])
    if "records" in change:
        step, records = (1 << octets[5]) + frame.TAG, octets[frame.START :]
        return octets[: frame.START] + b"".join(records[i * step : (i + 1) * step] for i in change["records"])
    at = change["at"]
    return octets[:at] + bytes([octets[at] ^ change["xor"]]) + octets[at + 1 :]


def check_refused(tally, vectors, cases, keys, direction, place_of):
    by_name = {one["name"]: one for one in vectors["frames"]}
    for one in cases:
        case = by_name.get(one.get("of"), {}) | one
        at, own = place_of(case["place"]), keys[case["keys"]]
        octets = change_frame(unb64(case["frame"]), one["change"]) if "change" in one else unb64(case["frame"])
        action = lambda: frame.open_frame(own, getattr(own, direction), at, octets)
        tally.outcome(f"refused: {one.get('name', 'reflected')}", action, reason=one["reason"])


def check_server(tally, vectors):
    keys = check_keys(tally, vectors)
    check_places(tally, vectors)
    check_frames(tally, vectors, keys, "s2c", asked)
    check_refused(tally, vectors, vectors["refused"], keys, "s2c", asked)


def check_client(tally, vectors):
    keys = check_keys(tally, vectors)
    for one in vectors["frames"]:
        if one["place"].get("date"):
            tally.same(f"{one['name']}, date", place.seconds(one["place"]["date"]), one["place"]["date_s"])
    check_frames(tally, vectors, keys, "c2s", sent)
    check_refused(tally, vectors, vectors["refused"], keys, "c2s", sent)
    check_refused(tally, vectors, [vectors["reflected"]], keys, "c2s", sent)


CHECKS = {"object/vectors.json": check_server, "object/client.json": check_client}
