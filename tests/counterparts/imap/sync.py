"""Fetches all of INBOX with IMAPClient: sync.py PORT USER PASSWORD FOLDER. A file for each thing a message has."""

import pathlib
import sys

from imapclient import IMAPClient

port, user, password, folder = sys.argv[1:]
folder = pathlib.Path(folder)
told = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"]

client = IMAPClient("127.0.0.1", port=int(port), ssl=False, timeout=60)
client.login(user, password)
client.select_folder("INBOX", readonly=True)
uids = client.search()
for uid, items in client.fetch(uids, told).items():
    for name, value in sorted(items.items()):
        (folder / f"{uid} {name.decode().split(' ')[0]}").write_text(repr(value))
for begin in range(0, len(uids), 50):
    for uid, items in client.fetch(uids[begin : begin + 50], ["BODY.PEEK[]"]).items():
        (folder / f"{uid}").write_bytes(items[b"BODY[]"])
client.logout()
