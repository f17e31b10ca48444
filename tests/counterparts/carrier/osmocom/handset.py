"""A phone, and the MME that it is at, as OsmoMSC sees them: SGsAP (3GPP TS 29.118), and the SMS layers in it.

usage: python3 -m osmocom.handset IMSI takes|refuses

It says what it gets: {"event": "attached"}, and {"event": "message", …} with an SMS-DELIVER as it came. One that refuses
answers RP-ERROR, 21 (short message transfer rejected).
"""

import socket
import sys
import time

from programs import say

# SGsAP: messages (section 9.2) and information elements (9.3).
PAGING_REQUEST, SERVICE_REQUEST, DOWNLINK_UNITDATA, UPLINK_UNITDATA = 0x01, 0x06, 0x07, 0x08
LOCATION_UPDATE_REQUEST, LOCATION_UPDATE_ACCEPT, LOCATION_UPDATE_REJECT = 0x09, 0x0A, 0x0B
TMSI_REALLOCATION_COMPLETE = 0x0C
IMSI, LOCATION_AREA, MME_NAME, UPDATE_TYPE, IDENTITY, NAS, SERVICE = 0x01, 0x04, 0x09, 0x0A, 0x0E, 0x16, 0x20
# TS 24.011: the CP layer (section 8.1.3) and the RP layer (8.2.2), down to the phone and up from it.
CP_DATA, CP_ACK, RP_DATA_DOWN, RP_ACK_UP, RP_ERROR_UP, REJECTED = 0x01, 0x04, 0x01, 0x02, 0x04, 21


class Sctp:
    """SCTP, or TCP with a length before each message, as sctp.c has it."""

    def __init__(self):
        try:
            self.socket, self.framed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP), False
        except OSError:
            self.socket, self.framed = socket.socket(), True
        self.socket.connect(("127.0.0.1", 29118))

    def send(self, message):
        self.socket.sendall(len(message).to_bytes(2) + message if self.framed else message)

    def messages(self):
        stream = self.socket.makefile("rb")
        while message := stream.read(int.from_bytes(stream.read(2))) if self.framed else self.socket.recv(4096):
            yield message


def element(tag, value):
    return bytes([tag, len(value)]) + value


def elements(octets):
    found = {}
    while octets:
        found[octets[0]], octets = octets[2 : 2 + octets[1]], octets[2 + octets[1] :]
    return found


def semi_octets(digits):
    """Two digits an octet, the first one low (TS 24.008, section 10.5.1.4)."""
    return bytes(int(low) | int(high) << 4 for low, high in zip(digits[::2], digits[1::2], strict=True))


def prefixed(octets):
    """What a length octet says, and the rest."""
    return octets[1 : 1 + octets[0]], octets[1 + octets[0] :]


class Handset:
    def __init__(self, imsi, takes):
        self.takes = takes
        # An MME of its own, since each has one connection.
        labels = f"mmec{imsi[-2:]}.mmegi0001.mme.epc.mnc001.mcc001.3gppnetwork.org".split(".")
        self.mme = element(MME_NAME, b"".join(bytes([len(label)]) + label.encode() for label in labels))
        # 15 digits: an odd count, said beside the first of them.
        self.imsi = element(IMSI, bytes([int(imsi[0]) << 4 | 0x9]) + semi_octets(imsi[1:]))
        self.network = Sctp()
        self.attach()

    def attach(self):
        area = element(LOCATION_AREA, bytes.fromhex("00f1100001"))
        self.say(LOCATION_UPDATE_REQUEST, self.mme + element(UPDATE_TYPE, b"\x01") + area)

    def say(self, message, more=b""):
        self.network.send(bytes([message]) + self.imsi + more)

    def live(self):
        for message in self.network.messages():
            kind, said = message[0], elements(message[1:])
            if kind == LOCATION_UPDATE_ACCEPT:
                if IDENTITY in said:
                    self.say(TMSI_REALLOCATION_COMPLETE)
                say("attached")
            elif kind == LOCATION_UPDATE_REJECT:
                # Its home location register is not there yet.
                time.sleep(0.1)
                self.attach()
            elif kind == PAGING_REQUEST:
                self.say(SERVICE_REQUEST, element(SERVICE, said[SERVICE]))
            elif kind == DOWNLINK_UNITDATA:
                self.control(said[NAS])

    def control(self, message):
        """The CP layer: its answers bear the transaction with the bit of who began it turned over."""
        if message[1] != CP_DATA:
            return
        transaction = bytes([message[0] ^ 0x80])
        self.say(UPLINK_UNITDATA, element(NAS, transaction + bytes([CP_ACK])))
        relayed, _ = prefixed(message[2:])
        if relayed[0] != RP_DATA_DOWN:
            return
        self.deliver(relayed[2:])
        answer = [RP_ACK_UP, relayed[1]] if self.takes else [RP_ERROR_UP, relayed[1], 1, REJECTED]
        self.say(UPLINK_UNITDATA, element(NAS, transaction + bytes([CP_DATA, len(answer), *answer])))

    def deliver(self, octets):
        """An SMS-DELIVER (TS 23.040, section 9.2.2.1), after the addresses of the service centre and of nobody."""
        _, octets = prefixed(octets)
        _, octets = prefixed(octets)
        tpdu, _ = prefixed(octets)
        digits = tpdu[1]
        after = 3 + (digits + 1) // 2
        protocol, coding, length, data = tpdu[after], tpdu[after + 1], tpdu[after + 9], tpdu[after + 10 :]
        sender = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in tpdu[3:after])[:digits]
        header = bool(tpdu[0] & 0x40)
        say("message", sender=sender, udhi=header, protocol=protocol, coding=coding, length=length, data=data.hex())


Handset(sys.argv[1], sys.argv[2] == "takes").live()
