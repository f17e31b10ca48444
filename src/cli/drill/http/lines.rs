//! HTTP/1.1 itself: lines and lengths over which two readers could disagree. Each is refused, by the service or by what
//! stands before it, and the connection ends: what comes after is no request.

use sidekey_service::problem::Code;

use super::{INVITATIONS, honest};
use crate::drill::attack::{Attack, Bout, Group, Side, Went};
use crate::drill::ground::Ground;
use crate::drill::promises::DOOR;
use crate::drill::wire::Heard;

/// A whole request, of its honest lines, its honest length and its body.
type Make = fn(&str, &str) -> String;

struct Row(&'static str, &'static str, Make);

const ROWS: [Row; 13] = [
    Row("line-lone-cr", "a lone CR in a header", |head, body| with(head, "x-a: b\rx-b: c\r\n", body)),
    Row("line-folded", "a header on two lines", |head, body| with(head, "x-a: b\r\n c\r\n", body)),
    Row("line-nul", "NUL in a header", |head, body| with(head, "x-a: b\0c\r\n", body)),
    Row("line-space", "a space before the colon", |head, body| with(head, "x-a : b\r\n", body)),
    Row("line-bare-lf", "a second length after a bare LF", |head, body| {
        with(head, "x-a: b\ncontent-length: 1\r\n", body)
    }),
    Row("two-lengths", "two lengths", |head, body| with(head, "content-length: 1\r\n", body)),
    Row("length-signed", "a length with a sign", |head, body| {
        format!("{head}content-length: +{}\r\n\r\n{body}", body.len())
    }),
    Row("length-hex", "a length in hex", |head, body| {
        format!("{head}content-length: 0x{:x}\r\n\r\n{body}", body.len())
    }),
    Row("length-beyond", "a length beyond numbers", |head, body| {
        format!("{head}content-length: 99999999999999999999999\r\n\r\n{body}")
    }),
    Row("length-gigabyte", "a gigabyte, announced", |head, _| {
        format!("{head}content-length: 1073741824\r\n\r\n")
    }),
    Row("coding-unknown", "an unknown transfer coding", |head, body| {
        format!("{head}transfer-encoding: gzip\r\n\r\n{body}")
    }),
    Row("coding-not-last", "chunks that are not the last coding", |head, body| {
        chunked(&format!("{head}transfer-encoding: chunked, gzip\r\n"), body)
    }),
    Row("chunk-longer", "a chunk longer than it says", |head, body| {
        chunked(&format!("{head}transfer-encoding: chunked\r\n"), body).replace(body, &format!("{body}X"))
    }),
];

pub(super) fn attacks() -> Vec<Attack> {
    let attack = |Row(name, does, make)| {
        Attack::new(Group::Http, name, does, DOOR, move |bout| Box::pin(said(bout, make)))
    };
    let hosts = Attack::new(Group::Http, "two-hosts", "two hosts", DOOR, |bout| Box::pin(two_hosts(bout)));
    let smuggled = Attack::new(
        Group::Http,
        "smuggled",
        "a request hidden behind a length beside chunks",
        DOOR,
        |bout| Box::pin(smuggled(bout)),
    );
    let trailer = Attack::new(Group::Http, "token-in-a-trailer", "a token after the body", DOOR, |bout| {
        Box::pin(in_a_trailer(bout))
    });
    ROWS.into_iter().map(attack).chain([hosts, smuggled, trailer]).collect()
}

async fn said(bout: &mut Bout, make: Make) -> Went {
    let (head, body) = (signed(&bout.ground), honest(&bout.ground).to_string());
    bout.ground.changes().await?;
    let heard = bout.ground.wire.octets(make(&head, &body).as_bytes()).await?;
    // Who answers nothing and hangs up has refused it too.
    let status = heard.answer.as_ref().map(|answer| answer.status);
    let refused = status.is_none_or(|status| (400..500).contains(&status) || status == 501);
    let held = refused && heard.answers <= 1 && heard.ended;
    bout.step(Side::Attack, "invite so", "a refusal, and the connection ends", told(&heard), held);
    bout.unchanged().await?;
    honestly(bout).await
}

/// Chunks hold, as RFC 9112 says; the connection ends after them, and nothing that follows is a request.
async fn smuggled(bout: &mut Bout) -> Went {
    let (head, body) = (signed(&bout.ground), honest(&bout.ground).to_string());
    let (authority, path) = (bout.ground.wire.url().authority(), bout.ground.wire.url().path());
    let hidden = format!("GET {path}/v1/keys HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let octets = chunked(&format!("{head}{lengths}"), &body) + &hidden;
        let heard = bout.ground.wire.octets(octets.as_bytes()).await?;
        let held = heard.answers <= 1 && heard.ended;
        bout.step(
            Side::Attack,
            "a request after the chunks",
            "one answer, and the connection ends",
            told(&heard),
            held,
        );
    }
    honestly(bout).await
}

async fn in_a_trailer(bout: &mut Bout) -> Went {
    let body = honest(&bout.ground).to_string();
    let token = bout.ground.admin_token();
    let head = format!("{}transfer-encoding: chunked\r\ntrailer: authorization\r\n", unsigned(&bout.ground));
    let octets =
        format!("{head}\r\n{:x}\r\n{body}\r\n0\r\nauthorization: Bearer {token}\r\n\r\n", body.len());
    refused(bout, &octets, Code::TokenMissing).await?;
    honestly(bout).await
}

/// How long it is, is not in doubt: the connection may go on.
async fn two_hosts(bout: &mut Bout) -> Went {
    let (head, body) = (signed(&bout.ground), honest(&bout.ground).to_string());
    let octets = with(&head, "host: drill.invalid\r\n", &body);
    refused(bout, &octets, Code::HostInvalid).await?;
    honestly(bout).await
}

/// That these octets are refused so, and change nothing.
async fn refused(bout: &mut Bout, octets: &str, code: Code) -> Went {
    bout.ground.changes().await?;
    let heard = bout.ground.wire.octets(octets.as_bytes()).await?;
    let expected = format!("{} {}", code.status(), code.as_str());
    let held = heard.answer.as_ref().is_some_and(|answer| answer.shown() == expected);
    bout.step(Side::Attack, "invite so", expected, told(&heard), held);
    bout.unchanged().await
}

/// The twin, octet by octet too.
async fn honestly(bout: &mut Bout) -> Went {
    let (head, body) = (signed(&bout.ground), honest(&bout.ground).to_string());
    let octets = with(&head, "connection: close\r\n", &body);
    let heard = bout.ground.wire.octets(octets.as_bytes()).await?;
    let held = heard.answers == 1 && heard.answer.as_ref().is_some_and(|answer| answer.status == 201);
    bout.step(Side::Twin, "invite as it should be", "201", told(&heard), held);
    Ok(())
}

fn told(heard: &Heard) -> String {
    let answer = heard.answer.as_ref().map_or_else(|| "no answer".to_owned(), |answer| answer.shown());
    let more = if heard.answers > 1 { format!(", and {} more", heard.answers - 1) } else { String::new() };
    let end = if heard.ended { "" } else { ", and it stays open" };
    format!("{answer}{more}{end}")
}

/// Up to the headers that say how long the body is. It asks for the end of nothing: that is for the service to decide.
fn unsigned(ground: &Ground) -> String {
    let (authority, path) = (ground.wire.url().authority(), ground.wire.url().path());
    format!(
        "POST {path}{INVITATIONS} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\nuser-agent: {}\r\n",
        crate::drill::wire::AGENT
    )
}

fn signed(ground: &Ground) -> String {
    format!("{}authorization: Bearer {}\r\n", unsigned(ground), ground.admin_token())
}

/// With these lines more, and the length that it has.
fn with(head: &str, lines: &str, body: &str) -> String {
    format!("{head}{lines}content-length: {}\r\n\r\n{body}", body.len())
}

fn chunked(head: &str, body: &str) -> String {
    format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}
