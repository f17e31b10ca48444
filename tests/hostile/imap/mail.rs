//! Messages that are made to be mistaken for something else, or to be too much: each arrives as it is, or not at all.

use super::*;

const FORMS: [&str; 10] = [
    "BODY.PEEK[]",
    "(RFC822.SIZE BODY.PEEK[HEADER])",
    "BODY.PEEK[TEXT]",
    "(BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[1.1])",
    "BODY.PEEK[HEADER.FIELDS (SUBJECT X-A)]",
    "ENVELOPE",
    "BODYSTRUCTURE",
    "BODY",
    "BODY.PEEK[]<0.100>",
    "(RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[TEXT]<16380.9>)",
];

fn strange() -> Vec<(&'static str, Vec<u8>)> {
    let head = "From: cfo@example.org\nSubject: strange\n";
    let base64 = "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n";
    let nested = (0..200).fold(String::new(), |inner, at| {
        format!("Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n{inner}\n--b{at}--\n")
    });
    vec![
        (
            "words of the protocol",
            format!("{head}\n)\n* 1 FETCH (BODY[] {{5}}\nhello)\ns5 OK done\n* BYE\n+ go\n").into(),
        ),
        ("its announcements in a header", b"Subject: {5}\nFrom: \"{3+}\" <a@b>\nX-A: ~{9}\n\n{4}\n".to_vec()),
        ("a frame that somebody sent", format!("{head}\nWEUBAgEQ{}\n", "QUFB".repeat(60)).into()),
        ("no header", b"\nbody alone\n".to_vec()),
        ("no body", head.as_bytes().to_vec()),
        ("nothing", Vec::new()),
        ("a NUL", format!("{head}\nbefore\0after\n").into()),
        ("a bare CR", format!("{head}\nbefore\rafter\r\r\n\r").into()),
        ("no end of its last line", format!("{head}\nno end").into()),
        (
            "octets that are no text",
            [head.as_bytes(), b"X-A: \xff\xfe\x80\n\n\xff\xfe\x80\xc3\x28\n"].concat(),
        ),
        (
            "quotes and backslashes",
            b"Subject: \"\\\"\\\\ \" \\\nFrom: \"a\\\"b\\\\\" <c\"d@e>\n\nx\n".to_vec(),
        ),
        ("a line of a mebibyte", format!("{head}\n{}\n", "x".repeat(1 << 20)).into()),
        ("a header of a mebibyte", format!("{head}X-A: {}\n\nx\n", "x".repeat(1 << 20)).into()),
        ("two hundred nested parts", format!("{head}MIME-Version: 1.0\n{nested}").into()),
        (
            "parts without an end",
            format!("{head}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx").into(),
        ),
        ("base64 cut short", format!("{head}MIME-Version: 1.0\n{base64}\nQUJDREVGR0g=QUI\n").into()),
    ]
}

#[tokio::test]
async fn mail_that_could_be_mistaken_for_something_else() {
    let strange = strange();
    let messages: Vec<_> = strange.iter().map(|(_, message)| message.clone()).collect();
    let scene = Scene::under("strict", &messages, &[]).await;
    let (mut program, mut direct) = (scene.program().await, scene.direct().await);
    direct.ask("SELECT INBOX").await;
    for (at, (name, _)) in strange.iter().enumerate() {
        for form in FORMS {
            let command = format!("FETCH {} {form}", at + 1);
            let [through, as_it_is] = [&mut program, &mut direct].map(async |session: &mut Session| {
                let answer = session.say(command.as_bytes()).await;
                let tagged = answer
                    .trim_ascii_end()
                    .iter()
                    .rposition(|octet| *octet == b'\n')
                    .map_or(0, |end| end + 1);
                let how = answer[tagged..].split(|octet| *octet == b' ').nth(1).unwrap_or_default().to_vec();
                (answer[..tagged].to_vec(), how)
            });
            let (through, as_it_is) = (through.await, as_it_is.await);
            assert!(
                through == as_it_is,
                "{name}: {command}: {}",
                through.0[..through.0.len().min(900)].escape_ascii()
            );
        }
    }
    assert_eq!(scene.raised(), [""; 0]);
}

/// Dovecot ends the connection in the middle of such a part: nothing that was begun is taken for whole.
#[tokio::test]
async fn a_part_that_the_mail_server_breaks_off_in() {
    let strange = strange();
    let (_, message) = strange.last().unwrap();
    let scene = Scene::under("strict", &[messages()[0].clone(), message.clone()], &[]).await;
    let mut program = scene.reader().await;
    let told = program.ask("FETCH 2 BINARY.PEEK[1]").await;
    assert!(!told.contains("ABCD") && !told.contains(" OK "), "{told}");
    let mut program = scene.reader().await;
    assert!(
        program.ask("FETCH 2 BODY.PEEK[1]").await.contains("QUJDREVGR0g=QUI"),
        "and as it came it is there"
    );
}
