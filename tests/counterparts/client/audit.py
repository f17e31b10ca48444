"""The audit log's chain and its checkpoints: proto/audit/spec.md, sections 1, 4 and 5."""

from .notation import Refused, is_b64, is_id, is_u32, is_u64, lp, members, parse_json, refuse_unless, sha256, u32, unb64
from .signing import payload_object, pin, read_jws, verifies

TYPE = "sidekey-checkpoint+jws"
CHECKPOINT = {"service": is_id, "seq": is_u64, "hash": is_b64(32), "at": is_u32, "key": is_b64(91)}


def entry_salt(record_salt, item):
    return sha256(lp("audit salt", record_salt, item.to_bytes(2, "big")))[:16]


def entry_hash(salt, text):
    return sha256(lp("audit entry", salt, text))


def entries_hash(hashes):
    return sha256(lp("audit record", *hashes))


def leaf(size, seq, nth, entries, body_hash):
    return sha256(u32(size) + seq.to_bytes(8, "big") + nth.to_bytes(2, "big") + entries + body_hash)


def chain(previous, leaf_hash):
    return sha256(previous + leaf_hash)


def read_checkpoint(text, service, keys):
    """What a checkpoint says, where it is by one of `keys` and of this service."""
    try:
        jws = read_jws(text, TYPE, 2048)
    except Refused as refused:
        raise Refused("malformed", refused.reason) from None
    key = next((der for der in keys if pin(der) == jws.header["kid"]), None)
    refuse_unless(key is not None, "key_foreign")
    refuse_unless(jws.signature is not None and verifies(key, jws.signature, jws.signed), "signature_wrong")
    content = payload_object(jws, "payload_malformed")
    refuse_unless(members(content, CHECKPOINT), "payload_malformed")
    refuse_unless(unb64(content["key"]) == key, "key_foreign")
    refuse_unless(content["service"] == service, "service_foreign")
    return content


def own_entries(answer, keys, service, place=(0, bytes(32))):
    """The entries that one page of GET /v1/audit/proof shows, and the place in the chain that it ends at."""
    seq, head = place
    sound = answer["after"] == seq and unb64(answer["previous"]) == head
    refuse_unless(sound, "chain_foreign")
    told = []
    for record in answer["records"]:
        if "leaves" in record:
            octets = unb64(record["leaves"])
            refuse_unless(len(octets) % 32 == 0, "leaves_malformed")
            for start in range(0, len(octets), 32):
                seq, head = seq + 1, chain(head, octets[start : start + 32])
            continue
        one, hashes, seq = record["record"], [], seq + 1
        for number, entry in enumerate(one["entries"]):
            if "hash" in entry:
                hashes.append(unb64(entry["hash"], 32))
                continue
            text = entry["entry"]["text"]
            hashes.append(entry_hash(unb64(entry["entry"]["salt"], 16), text))
            told.append(parse_json(text))
            sound = (told[-1]["seq"], told[-1].get("item", 0)) == (seq, number)
            refuse_unless(sound, "entry_malformed")
        head = chain(head, leaf(one["size"], seq, one["nth"], entries_hash(hashes), unb64(one["body"], 32)))
    if "checkpoint" in answer:
        signed = read_checkpoint(answer["checkpoint"], service, keys)
        refuse_unless((signed["seq"], unb64(signed["hash"])) == (seq, head), "checkpoint_other")
    return told, (seq, head)
