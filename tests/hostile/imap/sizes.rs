//! What the proxy learns of sizes, with its credential and every command that it may say: the padded size, and nothing nearer.
//!
//! Two mailboxes have messages in pairs: of a pair all is of another size, within the same padding. The proxy says the same
//! in both, and is answered the same: lengths, frames, codes, words.

use sidekey_protocol::object::{Class, RecordSize, frame_len};
use sidekey_tests::imap::liar::{frames, literals, with_literal};

use super::*;

/// All that may be asked of a message.
const ITEMS: [&str; 30] = [
    "FLAGS",
    "MODSEQ",
    "INTERNALDATE",
    "RFC822.SIZE",
    "BINARY.SIZE[]",
    "BINARY.SIZE[2]",
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "PREVIEW",
    "SNIPPET",
    "RFC822",
    "RFC822.HEADER",
    "RFC822.TEXT",
    "BODY[]",
    "BODY.PEEK[HEADER]",
    "BODY.PEEK[TEXT]",
    "BODY.PEEK[1]",
    "BODY.PEEK[1.MIME]",
    "BODY.PEEK[2]",
    "BODY.PEEK[2.MIME]",
    "BODY.PEEK[2.HEADER]",
    "BODY.PEEK[2.TEXT]",
    "BODY.PEEK[2.1]",
    "BODY.PEEK[3]",
    "BINARY.PEEK[]",
    "BINARY.PEEK[1]",
    "BINARY.PEEK[2]",
    "BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]",
    "BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR) X]",
];

/// Of a header that is no longer than the shortest frame of one. (What the README says of longer ones.)
const FIELDS: [&str; 6] = [
    "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
    "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE)]",
    "BODY.PEEK[HEADER.FIELDS (X-NONE)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (DATE)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]",
    "BODY.PEEK[2.HEADER.FIELDS (SUBJECT)]",
];

/// The smaller and the larger of each pair, and whether its headers are short.
fn pairs() -> Vec<([Vec<u8>; 2], bool)> {
    vec![
        ([plain(150, 10), plain(600, 900)], true),
        ([plain(150, 20_500), plain(200, 21_150)], true),
        ([parts(200, 5_000, 30_000), parts(260, 5_020, 30_200)], true),
        ([forwarded(200, 120, 5_965), forwarded(205, 125, 5_975)], true),
        ([plain(150, 98_300), plain(160, 100_100)], true),
        ([plain(1_090, 30), plain(1_140, 700)], false),
    ]
}

async fn scene() -> Scene {
    let half = |at: usize| pairs().into_iter().map(|(pair, _)| lf(&pair[at])).collect::<Vec<_>>();
    Scene::under("strict", &half(0), &half(1)).await
}

/// What is seen of an answer: all of it, but of the frames only their length and header, and not how long it took.
async fn seen(proxy: &mut Session, command: &str) -> String {
    let answer = proxy.say(command.as_bytes()).await;
    let mut seen = answer.clone();
    for (place, at) in literals(&answer).into_iter().enumerate() {
        let text = &answer[at];
        let head = frames(&[format!("{{{}}}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat());
        let head = head.front().map_or(&text[..text.len().min(6)], |frame| &frame[..6]).to_vec();
        let size = text.len();
        seen = with_literal(&seen, place, format!("{size} octets, {}", head.escape_ascii()).as_bytes());
    }
    let seen = String::from_utf8(seen).unwrap().replace("Archive", "INBOX");
    let (tagged, rest) =
        seen.rsplit_once(" (").filter(|(_, time)| time.ends_with("secs).\r\n")).unwrap_or((&seen, ""));
    let tag = tagged.lines().next_back().unwrap().split(' ').next().unwrap();
    tagged.replace(tag, "tag") + if rest.is_empty() { "" } else { "\r\n" }
}

fn class(item: &str) -> Class {
    let header = item.contains("HEADER") || item.contains("MIME") || !item.contains(['[', '2']);
    if header { Class::HeaderLike } else { Class::Body }
}

/// That both messages of a pair are of other sizes and of the same frames, item for item.
async fn differ(scene: &Scene) {
    let mut differing = 0;
    for item in ITEMS
        .iter()
        .filter(|item| item.contains("PEEK") || item.starts_with("ENV") || item.starts_with("RFC822"))
    {
        let mut sizes = [0, 1].map(|_| Vec::new());
        for (mailbox, sizes) in ["INBOX", "Archive"].into_iter().zip(&mut sizes) {
            let mut direct = scene.direct().await;
            direct.ask(&format!("EXAMINE {mailbox}")).await;
            for uid in 1..=pairs().len() {
                let answer = direct.say(format!("UID FETCH {uid} {item}").as_bytes()).await;
                let of_a_list = answer.len().saturating_sub(60);
                sizes.push(literals(&answer).first().map_or(of_a_list, ExactSizeIterator::len) as u64);
            }
        }
        let [smaller, larger] = sizes;
        for (at, (one, other)) in smaller.iter().zip(&larger).enumerate() {
            let of = |size: u64| frame_len(class(item), size, 0, RecordSize::default());
            assert_eq!(of(*one), of(*other), "{item} of pair {at}: {one} and {other}");
            differing += usize::from(one != other);
        }
    }
    assert!(differing > 60, "{differing}: they are pairs of other sizes");
}

#[tokio::test]
async fn no_command_tells_two_sizes_of_the_same_padding_apart() {
    let scene = scene().await;
    differ(&scene).await;
    let (mut smaller, mut larger) = (scene.proxy().await, scene.proxy().await);
    larger.ask("SELECT Archive").await;
    let mut commands = Vec::new();
    for (at, (_, short)) in pairs().iter().enumerate() {
        let fields = if *short { &FIELDS[..] } else { &[] };
        for item in ITEMS.iter().chain(fields) {
            for modifier in ["", " (XENCRYPTED)", " (CHANGEDSINCE 1)"] {
                commands.push(format!("UID FETCH {} ({item}){modifier}", at + 1));
            }
        }
        for item in [
            "BODY.PEEK[]",
            "BODY.PEEK[HEADER]",
            "BODY.PEEK[TEXT]",
            "BODY.PEEK[1]",
            "BODY.PEEK[2]",
            "BINARY.PEEK[2]",
        ] {
            for origin in (0..8).map(|step| step * 16_384) {
                for count in [16_384, 32_768, 1_048_576] {
                    commands.push(format!("UID FETCH {} {item}<{origin}.{count}>", at + 1));
                }
            }
        }
    }
    for command in [
        "FETCH 1:* ALL",
        "FETCH 1:* FAST",
        "FETCH 1:* FULL",
        "SEARCH ALL",
        "UID SEARCH RETURN (MIN MAX COUNT) SINCE 1-Jan-2026",
        "UID SEARCH RETURN (SAVE) SEEN",
        "SEARCH LARGER 1000",
        "SEARCH NOT SMALLER 1000",
        "SORT (SIZE) UTF-8 ALL",
        "STATUS INBOX (MESSAGES UIDNEXT UNSEEN)",
        "STATUS INBOX (SIZE)",
        "UID STORE 1:* +FLAGS.SILENT (\\Flagged)",
        "CHECK",
        "UID FETCH 1:* (UID FLAGS)",
    ] {
        commands.push(command.to_owned());
    }
    for command in commands {
        let one = seen(&mut smaller, &command).await;
        let other = seen(&mut larger, &command.replace("INBOX", "Archive")).await;
        assert_eq!(one, other, "{command}");
    }
    // It could be otherwise: the next padding is seen.
    assert_ne!(
        seen(&mut smaller, "UID FETCH 1 RFC822.SIZE").await,
        seen(&mut smaller, "UID FETCH 2 RFC822.SIZE").await
    );
}

#[tokio::test]
async fn a_binary_search_ends_at_the_padding() {
    let scene = scene().await;
    let mut proxy = scene.proxy().await;
    let exact = pairs()[1].0[0].len() as u64;
    let told = proxy.ask("UID FETCH 2 RFC822.SIZE").await;
    let sealed: u64 = told.split("RFC822.SIZE ").nth(1).unwrap().split(')').next().unwrap().parse().unwrap();
    let of = |size| frame_len(Class::Body, size, 0, RecordSize::default()).div_ceil(3) * 4;
    let possible: Vec<_> = (0..30_000).filter(|size| of(*size) == sealed).collect();
    assert!(possible.contains(&exact) && possible.len() >= 1_024, "{possible:?}");

    let (first, last) = (possible[0], possible[possible.len() - 1]);
    for question in [
        "SEARCH UID 2 LARGER {n}",
        "SEARCH UID 2 SMALLER {n}",
        "SEARCH UID 2 NOT (OR SEEN LARGER {n})",
        "UID FETCH 2 BODY.PEEK[]<0.{n}>",
        "UID FETCH 2 BODY.PEEK[]<{n}.1>",
        "UID FETCH 2 BODY.PEEK[]<{n}.16384>",
        "UID FETCH 2 BODY.PEEK[TEXT]<{n}.16384>",
        "UID FETCH 2 BINARY.PEEK[1]<{n}.16384>",
        "UID FETCH 2 BODY.PEEK[]<0.16384>",
        "UID FETCH 2 BODY.PEEK[]<16384.16384>",
        "UID FETCH 2 BODY.PEEK[]<32768.16384>",
        "UID FETCH 2 BINARY.SIZE[1]",
        "STATUS INBOX (SIZE)",
        "LIST \"\" INBOX RETURN (STATUS (SIZE))",
        "SORT (SIZE) UTF-8 UID 1:2",
    ] {
        // By halves, as long as an answer depends on where one asks.
        let (mut low, mut high) = (first, last);
        let at =
            async |proxy: &mut Session, n: u64| seen(proxy, &question.replace("{n}", &n.to_string())).await;
        let below = at(&mut proxy, first).await;
        while low < high {
            let middle = low.midpoint(high);
            if at(&mut proxy, middle).await == below {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let nowhere = at(&mut proxy, exact).await == below && at(&mut proxy, last).await == below;
        assert!(nowhere && low == last, "{question} tells of {low}, and it is {exact}");
    }
}

/// As a Maildir has it.
fn lf(message: &[u8]) -> Vec<u8> {
    String::from_utf8(message.to_vec()).unwrap().replace("\r\n", "\n").into_bytes()
}

/// A header of this size, its empty line within.
fn header(size: usize, fields: &str) -> String {
    let head = format!("From: cfo@example.org\r\nDate: Thu, 1 Jan 2026 08:00:00 +0100\r\n{fields}");
    // What is long goes where no envelope shows it.
    let name = if size > 1_000 { "X-Long: " } else { "Subject: " };
    let filled = "x".repeat(size - head.len() - name.len() - 4);
    format!("{head}{name}{filled}\r\n\r\n")
}

/// Lines of this size in all.
fn lines(size: usize) -> String {
    let whole = format!("{}\r\n", "x".repeat(70)).repeat(size / 72);
    let rest = size - whole.len();
    if rest < 2 { "x".repeat(rest) + &whole } else { whole + &"x".repeat(rest - 2) + "\r\n" }
}

fn plain(header_size: usize, body_size: usize) -> Vec<u8> {
    (header(header_size, "") + &lines(body_size)).into_bytes()
}

const MIXED: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";

/// A text and a file.
fn parts(header_size: usize, text_size: usize, file_size: usize) -> Vec<u8> {
    let file: Vec<u8> = (0..file_size).map(|at| (at * 7 % 251) as u8).collect();
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, file);
    let file: String =
        encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\r\n").collect();
    let text = lines(text_size);
    format!(
        "{}--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b\r\nContent-Type: application/pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{file}\r\n--b--\r\n",
        header(header_size, MIXED)
    )
    .into_bytes()
}

/// A text and a message.
fn forwarded(header_size: usize, inner_header_size: usize, inner_size: usize) -> Vec<u8> {
    let inner = header(inner_header_size, "") + &lines(inner_size);
    format!(
        "{}--b\r\n\r\nsee below\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b--\r\n",
        header(header_size, MIXED)
    )
    .into_bytes()
}
