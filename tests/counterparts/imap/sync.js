// Fetches all of INBOX with imapflow: sync.js PORT USER PASSWORD FOLDER. Two files for each message.
import { writeFileSync } from 'node:fs';
import { ImapFlow } from 'imapflow';

const [port, user, pass, folder] = process.argv.slice(2);
const client = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: false, doSTARTTLS: false, auth: { user, pass }, logger: false });
await client.connect();
const lock = await client.getMailboxLock('INBOX', { readOnly: true });
const items = { source: true, envelope: true, bodyStructure: true, flags: true, internalDate: true, size: true };
for await (const message of client.fetch('1:*', items)) {
    const { source, uid, envelope, bodyStructure, flags, internalDate, size } = message;
    writeFileSync(`${folder}/${uid}`, source);
    writeFileSync(`${folder}/${uid} told`, JSON.stringify({ envelope, bodyStructure, flags: [...flags], internalDate, size }, null, 1));
}
lock.release();
await client.logout();
