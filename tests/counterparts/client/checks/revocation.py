"""revocation/ and audit/: heads, and the log's chain."""

from .. import audit, signing
from ..heads import Heads
from ..notation import mac, sha256, unb64

HEX = bytes.fromhex


def head_of(key, n, r):
    shown = n.to_bytes(8, "big") + r[:8]
    return shown + mac(key, shown)[:16]


def check_heads(tally, vectors):
    key, r = HEX(vectors["key"]), bytes(32)
    for one in vectors["chain"]:
        r = sha256(r + HEX(one["record"])) if "record" in one else r
        tally.same(f"r_{one['n']}", (r.hex(), head_of(key, one["n"], r).hex()), (one["r"], one["head"]))
    for one in vectors["genuine"]:
        head = HEX(one["head"])
        genuine = head_of(key, int.from_bytes(head[:8], "big"), head[8:16]) == head
        tally.same(one["name"], genuine, one["genuine"])
    kept = Heads()
    for number, one in enumerate(vectors["shown"]):
        verdict = kept.shown(HEX(one["head"])) if "head" in one else kept.shown_number(one["n"])
        got = verdict, kept.head.hex(), kept.highest
        tally.same(f"shown, {number}", got, (one["verdict"], one["highest"], one["highest_n"]))


def check_audit(tally, vectors):
    head = bytes(32)
    for one in vectors["chain"]:
        hashes = []
        for item, said in enumerate(one["said"]):
            salt = audit.entry_salt(HEX(one["salt"]), item)
            hashes.append(audit.entry_hash(salt, said["text"]))
            tally.same(f"{one['seq']}, entry {item}", (salt.hex(), hashes[-1].hex()), (said["salt"], said["hash"]))
        entries, body = audit.entries_hash(hashes), HEX(one["body"])
        leaf = audit.leaf(len(body), one["seq"], one["nth"], entries, sha256(body))
        head = audit.chain(head, leaf)
        got = entries.hex(), sha256(body).hex(), leaf.hex(), head.hex()
        tally.same(f"{one['seq']}", got, (one["entries"], one["body_hash"], one["leaf"], one["hash"]))
    said = vectors["checkpoint"]
    key = signing.spki(signing.load_private(HEX(said["private"])))
    tally.same("key, kid", (key, signing.pin(key)), (unb64(said["key"]), said["kid"]))
    wanted = {name: said[name] for name in audit.CHECKPOINT}
    for one in said["cases"]:
        action = lambda: audit.read_checkpoint(one["jws"], said["service"], [key])
        tally.outcome(f"checkpoint: {one['name']}", action, wanted, one["refused"])


CHECKS = {"revocation/vectors.json": check_heads, "audit/vectors.json": check_audit}
