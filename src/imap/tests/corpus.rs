//! Mail as it comes: plain, nested, in eight bits, malformed, and made to be taken for IMAP.

use crate::Chance;

/// Always the same messages, lines ended by LF as a Maildir has them.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let mut chance = Chance(0x5eed);
    let mut messages: Vec<Vec<u8>> = vec![
        // No header; no body; nothing at all.
        b"\nbody only, no header at all\n".to_vec(),
        head("no body"),
        b"\n".to_vec(),
        b"no colon here\nSubject: broken header\n\nx\n".to_vec(),
        letter("said in IMAP", IMAP),
        letter("bare ends", "a\rb\r\rc\n\n\r\nd"),
        letter("NUL", "a\0b\0\0\nc\n"),
        letter("one line", &"x".repeat(1 << 20)),
        [head("raw \u{e9}"), b"X-Raw: caf\xe9 \xff\xfe\n\n\x80\x81\n".to_vec()].concat(),
        letter("empty lines", &"\n".repeat(1000)),
        with_type("text/plain\nContent-Transfer-Encoding: base64", "cut short", "SGVsbG8gd29ybG"),
        with_type("text/plain\nContent-Transfer-Encoding: x-unknown", "unknown encoding", "?"),
        with_type(
            "text/plain; charset=\"a\\\"b{3}\"; name*0*=UTF-8''%e2%82; name*1=\"(x\"",
            "parameters",
            "x\n",
        ),
        with_type("multipart/mixed; boundary=never", "no parts", "no boundary anywhere\n"),
        with_type("multipart/mixed; boundary=\"\"", "empty boundary", "--\n\nx\n----\n"),
        nested(200),
        forwarded(3),
    ];
    for at in 0..40 {
        let lines = (0..chance.below(60)).map(|_| words(&mut chance, 12)).collect::<Vec<_>>().join("\n");
        messages.push(match at % 4 {
            0 => letter(&words(&mut chance, 6), &lines),
            1 => letter("Gr\u{fc}\u{df}e \"quoted\" \\ (aus) {5}", &lines),
            2 => with_parts(&words(&mut chance, 4), &lines),
            _ => {
                let binary: Vec<u8> = (0..chance.below(9000)).map(|_| chance.next() as u8).collect();
                [head("octets"), b"Content-Transfer-Encoding: binary\n\n".to_vec(), binary].concat()
            }
        });
    }
    messages
}

fn head(subject: &str) -> Vec<u8> {
    format!(
        "From: \"O'Brien \\\"Bob\\\"\" <bob@partner.example>\nTo: Gruppe: anna@corp.example, \"M\u{fc}ller, J\"\n \
         <joerg@corp.example>;\nCc: undisclosed:;\nDate: Thu, 1 Jan 2026 08:00:00 +0100\nMessage-ID: \
         <0123@corp.example>\nIn-Reply-To: \"not an id\nSubject: {subject}\n"
    )
    .into_bytes()
}

fn letter(subject: &str, body: &str) -> Vec<u8> {
    [head(subject), format!("\n{body}").into_bytes()].concat()
}

fn with_type(content_type: &str, subject: &str, body: &str) -> Vec<u8> {
    let head = head(subject);
    [head, format!("MIME-Version: 1.0\nContent-Type: {content_type}\n\n{body}").into_bytes()].concat()
}

fn with_parts(subject: &str, text: &str) -> Vec<u8> {
    let body = format!(
        "preamble\n--b\n\n{text}\n--b\nContent-Type: application/pdf; name=\"a b;c\\\".bin\"\nContent-Disposition: \
         attachment; filename*=UTF-8''%C3%9Cbersicht\nContent-Transfer-Encoding: base64\nContent-ID: <x@y>\n\n\
         AAECAwQF\n--b--\nepilogue\n"
    );
    with_type("multipart/mixed; boundary=b", subject, &body)
}

fn nested(depth: usize) -> Vec<u8> {
    let body =
        (0..depth).map(|at| format!("--b{at}\nContent-Type: multipart/mixed; boundary=b{}\n\n", at + 1));
    with_type("multipart/mixed; boundary=b0", "nested", &body.collect::<String>())
}

fn forwarded(depth: usize) -> Vec<u8> {
    if depth == 0 {
        return with_parts("innermost", IMAP);
    }
    let inner = String::from_utf8(forwarded(depth - 1)).unwrap();
    with_type("message/rfc822", &format!("forwarded \"{depth}\""), &inner)
}

fn words(chance: &mut Chance, count: usize) -> String {
    (0..count).map(|_| WORDS[chance.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
}

const WORDS: [&str; 10] = [
    "quarter",
    "budget",
    "Z\u{fc}rich",
    "the",
    "invoice",
    "\u{1f680}",
    "review",
    "(draft)",
    "\"final\"",
    "{10}",
];

/// What a reader that guesses takes for responses and literals.
const IMAP: &str =
    "* 1 FETCH (BODY[] {5}\nA1 OK done\n)\n+ go\n{99999999}\n~{12}\n.\n..\nFrom here\na OK\n* BYE\n";
