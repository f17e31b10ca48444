"""delivery/: messages, documents and signed bodies."""

from .. import delivery

HEX = bytes.fromhex


def check(tally, vectors):
    for one in vectors["sms_octets"]:
        got = delivery.sms_octets(HEX(one["data"]), one["to"], one["from"], one["reference"])
        tally.same(f"SMS: {one['name']}", [message.hex() for message in got], one["messages"])
        if len(got) == 1:
            tally.same(f"SMS: {one['name']}, read", delivery.read_sms(got[0], one["to"]), HEX(one["data"]))
    for one in vectors["sms_text"]:
        text, messages = delivery.sms_invitation(one["url"], one["invitation"], one["reference"])
        got = text, [message.hex() for message in messages]
        tally.same(f"SMS: {one['name']}", got, (one["text"], one["messages"]))
    for one in vectors["documents"]:
        entries = [(entry["session"], entry["generation"], entry["envelope"]) for entry in one["entries"]]
        tally.same(f"document: {one['name']}", delivery.write_document(entries), one["xml"])
        read = delivery.read_document(one["xml"].encode())
        tally.same(f"document: {one['name']}, read", read, [entry["envelope"] for entry in one["entries"]])
    for one in vectors["webhooks"]:
        body = one["body"].encode()
        got = delivery.webhook_signature(HEX(one["secret"]), one["id"], one["timestamp"], body)
        tally.same("webhook", got, one["signature"])


CHECKS = {"delivery/vectors.json": check}
