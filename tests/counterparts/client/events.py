"""The stream of events: proto/revocation/spec.md, section 3."""

import time

from .notation import parse_json, unb64


def listen(party, last=None):
    """Events as they come, over as many streams as it takes, each {event, data, id}; signs of life have neither.

    What a head says is kept, and so is the last id; a stream that is silent or ends is asked for again.
    """
    while True:
        headers = party.headers() | ({"Last-Event-ID": last} if last else {})
        stopping = False
        try:
            stream = party.transport.stream("/v1/events", headers)
            party.heard(next(stream))
            for event, data, identity in stream:
                last = identity or last
                content = parse_json(data) if data else None
                if event == "head":
                    party.shown(unb64(content["head"], 32))
                    party.save()
                stopping = event == "stopping"
                yield {"event": event, "data": content, "id": identity}
        except TimeoutError:
            continue
        if not stopping:
            time.sleep(1)
