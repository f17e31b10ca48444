"""HTTPS to a service: one request, one answer; and a stream of events. TLS 1.3, under one certificate authority."""

import email.utils
import http.client
import json
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from .notation import parse_json

JSON = "application/json"
QUIET = 15


class Problem(Exception):
    """A refusal by the service: its problem document."""

    def __init__(self, status, headers, document):
        super().__init__(f"{status} {document.get('code')}")
        self.status, self.headers, self.document = status, headers, document

    @property
    def code(self):
        return self.document.get("code")


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return parse_json(self.body)

    def clock(self):
        """The service's time, from its `Date`; our own where it says none."""
        date = self.headers["Date"]
        return email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()


class Transport:
    def __init__(self, url, ca):
        """`ca` is the PEM of the one authority that is trusted."""
        self.url = urlsplit(url)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.load_verify_locations(cadata=ca)

    def send(self, method, route, body, headers, timeout):
        connection = http.client.HTTPSConnection(
            self.url.hostname, self.url.port or 443, context=self.tls, timeout=timeout
        )
        if body is not None:
            headers = headers | {"Content-Type": JSON}
            body = json.dumps(body)
        connection.request(method, self.url.path + route, body, headers)
        return connection, connection.getresponse()

    def ask(self, method, route, body=None, headers=None):
        """The answer, where it is no refusal."""
        connection, response = self.send(method, route, body, headers or {}, 30)
        try:
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        if answer.status >= 400:
            raise Problem(answer.status, answer.headers, answer.json())
        return answer

    def stream(self, route, headers):
        """The headers of an event stream, then its messages, each (event, data, id); ends where the stream ends."""
        connection, response = self.send("GET", route, None, headers, QUIET)
        try:
            if response.status >= 400:
                raise Problem(response.status, response.headers, parse_json(response.read()))
            yield response.headers
            yield from messages(response)
        finally:
            connection.close()


def messages(lines):
    """Server-Sent Events (WHATWG HTML, section 9.2), of lines of octets."""
    fields = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if not text:
            if fields:
                yield fields.get("event"), fields.get("data"), fields.get("id")
            fields = {}
            continue
        name, _, value = text.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
