// An SMSC on npm's smpp. One JSON object a line on stdout; it ends with its stdin.
// usage: node smsc.js PORT SYSTEM_ID PASSWORD [KEY.pem CERT.pem]
//
// The last two digits of a number choose its fate:
//   01 undeliverable  02 expired  08 throttled the first time  09 no such number  10 queue full
//   11 taken, and never answered  12 two receipts  others delivered
'use strict';
const fs = require('fs');
const smpp = require('smpp');
const [port, systemId, password, key, cert] = process.argv.slice(2);

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const hex = (octets) => (Buffer.isBuffer(octets) ? octets.toString('hex') : octets);
const throttled = new Set();
let taken = 0;

function bind(session, pdu) {
    const status = pdu.system_id !== systemId ? smpp.ESME_RINVSYSID : pdu.password !== password ? smpp.ESME_RINVPASWD : 0;
    say({ event: 'bind', status, version: pdu.interface_version });
    session.send(pdu.response(status ? { command_status: status } : { system_id: 'SMSC' }));
}

function refusal(number) {
    switch (number.slice(-2)) {
        case '08': return throttled.has(number) ? 0 : (throttled.add(number), smpp.ESME_RTHROTTLED);
        case '09': return smpp.ESME_RINVDSTADR;
        case '10': return smpp.ESME_RMSGQFUL;
        default: return 0;
    }
}

function receipt(session, pdu, id) {
    const [stat, state] = { '01': ['UNDELIV', 5], '02': ['EXPIRED', 3] }[pdu.destination_addr.slice(-2)] || ['DELIVRD', 2];
    session.deliver_sm({
        esm_class: 4, source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
        receipted_message_id: id, message_state: state,
        short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:${stat} err:000 text:`,
    });
}

function submit(session, pdu) {
    const status = refusal(pdu.destination_addr);
    if (status) return session.send(pdu.response({ command_status: status }));
    const id = (++taken).toString(16).padStart(8, '0');
    const { udh, message } = pdu.short_message;
    say({
        event: 'submit', id, to: pdu.destination_addr, from: pdu.source_addr, esm_class: pdu.esm_class,
        data_coding: pdu.data_coding, validity: pdu.validity_period, udh: (udh || []).map(hex), message: hex(message),
    });
    if (pdu.destination_addr.endsWith('11')) return;
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery & 3) {
        receipt(session, pdu, id);
        if (pdu.destination_addr.endsWith('12')) receipt(session, pdu, id);
    }
}

const tls = key ? { key: fs.readFileSync(key), cert: fs.readFileSync(cert) } : {};
smpp.createServer(tls, (session) => {
    session.on('error', () => session.destroy());
    session.on('bind_transceiver', (pdu) => bind(session, pdu));
    session.on('enquire_link', (pdu) => session.send(pdu.response()));
    session.on('unbind', (pdu) => { say({ event: 'unbind' }); session.send(pdu.response()); session.close(); });
    session.on('submit_sm', (pdu) => submit(session, pdu));
}).listen(+port, '127.0.0.1', () => say({ event: 'listening' }));

process.stdin.on('end', () => process.exit(0)).resume();
