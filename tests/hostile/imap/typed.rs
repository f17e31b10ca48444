//! What the proxy types at the gateway, with the credential that it has: every row of the list for an untrusted connection.

use sidekey_tests::imap::liar::frames;

use super::*;

/// That each of these is answered so, that nothing of it reaches the mail server, and that nothing changes.
async fn refused(scene: &Scene, rows: &[(&str, &str)]) {
    let mut proxy = scene.proxy().await;
    let (before, asked) = (scene.kept().await, scene.asked());
    for (command, answer) in rows {
        let told = proxy.ask(command).await;
        let (_, told) = told.split_once(' ').unwrap_or_else(|| panic!("{command}: {told}"));
        assert_eq!(told, format!("{answer}\r\n"), "{command}");
    }
    assert_eq!(scene.asked(), asked, "the mail server hears of none");
    assert_eq!(scene.kept().await, before, "nothing has changed");
    assert!(proxy.ask("UID FETCH 1 FLAGS").await.contains(" OK "), "and the connection goes on");
}

/// That each of these is done, and that its answer shows no mail.
async fn allowed(scene: &Scene, proxy: &mut Session, rows: &[(&str, &str)]) {
    for (command, part) in rows {
        let told = proxy.ask(command).await;
        assert!(told.contains(" OK ") && told.contains(part), "{command}: {told}");
        assert!(!told.contains(SECRET), "{command}: {told}");
    }
    assert!(!scene.asked().contains("(\"name\" \"Sidekey\")"));
}

#[tokio::test]
async fn what_tells_nothing_is_done() {
    let scene = Scene::open().await;
    let mut proxy = scene.proxy().await;
    let rows = [
        ("CAPABILITY", "XENCRYPTED"),
        ("NOOP", ""),
        ("ID (\"name\" \"of the proxy\")", "* ID (\"name\" \"Sidekey\")"),
        ("ENABLE CONDSTORE QRESYNC", "* ENABLED CONDSTORE QRESYNC"),
        ("NAMESPACE", "* NAMESPACE "),
        ("STATUS Archive (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)", "MESSAGES 2"),
        ("LIST \"\" *", "Archive"),
        ("LSUB \"\" *", ""),
        ("CHECK", ""),
        ("EXAMINE Archive", "* 2 EXISTS"),
        ("SELECT INBOX", "* 3 EXISTS"),
        ("UID FETCH 1:3 (FLAGS UID MODSEQ INTERNALDATE)", "* 3 FETCH (UID 3 FLAGS"),
        ("UNSELECT", ""),
    ];
    allowed(&scene, &mut proxy, &rows).await;
    let idling = proxy.idle(async {}, "idling").await;
    assert!(idling.starts_with(b"+ idling"), "{}", idling.escape_ascii());
    assert!(!scene.asked().contains("of the proxy"), "who the proxy is, is nobody's business");
}

#[tokio::test]
async fn all_that_is_of_a_message_comes_sealed() {
    let scene = Scene::open().await;
    let mut proxy = scene.proxy().await;
    for item in [
        "BODY.PEEK[]",
        "BODY.PEEK[]<0.16384>",
        "BODY.PEEK[HEADER]",
        "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
        "BODY.PEEK[HEADER.FIELDS.NOT (TO)]",
        "BODY.PEEK[TEXT]",
        "BODY.PEEK[1]",
        "BODY.PEEK[2.MIME]",
        "BINARY.PEEK[1]",
        "RFC822",
        "RFC822.HEADER",
        "RFC822.TEXT",
        "ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "PREVIEW",
        "PREVIEW (LAZY)",
        "SNIPPET",
        "BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]",
    ] {
        for modifier in ["", " (XENCRYPTED)"] {
            let told = proxy.say(format!("UID FETCH 3 ({item}){modifier}").as_bytes()).await;
            let text = String::from_utf8_lossy(&told);
            assert!(text.contains(" OK ") && !text.contains(SECRET), "{item}{modifier}: {text}");
            let sealed =
                if modifier.is_empty() { frames(&told).len() == 1 } else { text.contains("XE\u{1}") };
            assert!(sealed, "{item}{modifier}: {text}");
        }
    }
    // The size that is told is the sealed one.
    let told = proxy.ask("UID FETCH 1 (RFC822.SIZE)").await;
    assert!(told.contains("RFC822.SIZE 5668)"), "{told}");
}

#[tokio::test]
async fn an_item_that_is_not_known_is_refused() {
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("UID FETCH 1 (X-GUID)", "BAD no such item here"),
            ("UID FETCH 1 (RFC822.SIZE X-MAILBOX)", "BAD no such item here"),
            ("UID FETCH 1 SAVEDATE", "BAD no such item here"),
        ],
    )
    .await;
}

#[tokio::test]
async fn sizes_of_parts_and_of_mailboxes() {
    const EXACT: &str = "NO exact sizes are not told here";
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("UID FETCH 1 BINARY.SIZE[1]", EXACT),
            ("STATUS INBOX (SIZE)", EXACT),
            ("STATUS INBOX (MESSAGES SIZE)", EXACT),
            ("LIST \"\" * RETURN (STATUS (SIZE))", EXACT),
            (
                "UID FETCH 1 BODY.PEEK[]<0.24>",
                "BAD ranges begin and end at multiples of 16384 octets here, so that they tell no exact size",
            ),
            (
                "UID FETCH 1 BODY.PEEK[]<1.16384>",
                "BAD ranges begin and end at multiples of 16384 octets here, so that they tell no exact size",
            ),
            ("UID FETCH 1 BODY.PEEK[]<0.2097152>", "BAD a range has at most 1048576 octets here"),
        ],
    )
    .await;
}

#[tokio::test]
async fn searching_by_size_or_by_the_date_in_the_header() {
    const ORACLE: &str = "NO not searched for here";
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("SEARCH LARGER 100", ORACLE),
            ("UID SEARCH NOT SMALLER 100", ORACLE),
            ("SEARCH OR SEEN LARGER 100", ORACLE),
            ("SEARCH SENTSINCE 1-Jan-2026", ORACLE),
            ("SEARCH SENTBEFORE 1-Jan-2026", ORACLE),
            ("SEARCH SENTON 1-Jan-2026", ORACLE),
            ("SEARCH YOUNGER 3600", "BAD not known here"),
            ("SORT (SIZE) UTF-8 ALL", "BAD no such command here"),
            ("UID SORT (REVERSE SUBJECT) UTF-8 ALL", "BAD no such command here"),
            ("THREAD REFERENCES UTF-8 ALL", "BAD no such command here"),
        ],
    )
    .await;
}

#[tokio::test]
async fn searching_for_words_of_the_proxy_s_own() {
    const WORDS: &str = "NO a frame is base64 in one line";
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("SEARCH TEXT merger", WORDS),
            ("SEARCH UID 1 SUBJECT \"merger\"", WORDS),
            ("UID SEARCH NOT (OR BODY merger SEEN)", WORDS),
            ("SEARCH HEADER SUBJECT {6+}\r\nmerger", WORDS),
            ("SEARCH CHARSET UTF-8 FROM {6+}\r\nmerger", WORDS),
            ("SEARCH TO WEVh", "NO a frame does not hold: the frame is cut short"),
        ],
    )
    .await;
    let mut proxy = scene.proxy().await;
    for (command, found) in
        [("SEARCH UID 2:3", "2 3"), ("SEARCH SEEN", "1 2 3"), ("SEARCH SINCE 1-Jan-2026", "1 2 3")]
    {
        let told = proxy.ask(command).await;
        assert!(told.starts_with(&format!("* SEARCH {found}\r\n")), "{command}: {told}");
    }
}

#[tokio::test]
async fn a_message_of_the_proxy_s_own() {
    const NO_FRAME: &str = "NO a frame is base64 in one line";
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("APPEND INBOX {14+}\r\nSubject: forged", "BAD there is more than the command takes"),
            ("APPEND INBOX {15+}\r\nSubject: forged", NO_FRAME),
            ("APPEND INBOX (\\Seen) {4+}\r\nWEVh", "NO a frame does not hold: the frame is cut short"),
            ("APPEND INBOX {15+}\r\nSubject: forged {15+}\r\nSubject: forged", NO_FRAME),
            ("APPEND INBOX ~{15+}\r\nSubject: forged", "NO a frame comes as base64 in a plain literal"),
            ("APPEND INBOX CATENATE (URL \"/INBOX;UIDVALIDITY=1/;UID=1\")", "BAD an argument is malformed"),
        ],
    )
    .await;
}

#[tokio::test]
async fn flags_other_than_those_of_a_reader() {
    const FLAGS: &str = "NO these flags are not changed here";
    const CHANGE: &str = "NO messages and mailboxes are not changed here";
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("STORE 1 FLAGS (\\Seen)", FLAGS),
            ("UID STORE 1:* FLAGS.SILENT ()", FLAGS),
            ("STORE 1 +FLAGS (\\Draft)", FLAGS),
            ("STORE 1 +FLAGS ($Forwarded)", FLAGS),
            ("STORE 1:* +FLAGS (\\Deleted)", CHANGE),
            ("UID STORE 1 +FLAGS.SILENT (\\Seen \\Deleted)", CHANGE),
        ],
    )
    .await;
    let mut proxy = scene.proxy().await;
    let rows = [
        ("STORE 1 -FLAGS (\\Seen)", "FLAGS ()"),
        ("UID STORE 1 +FLAGS (\\Seen \\Flagged \\Answered)", "\\Answered"),
    ];
    allowed(&scene, &mut proxy, &rows).await;
}

#[tokio::test]
async fn messages_and_mailboxes_are_not_moved_deleted_or_made() {
    const CHANGE: &str = "NO messages and mailboxes are not changed here";
    let scene = Scene::open().await;
    refused(
        &scene,
        &[
            ("EXPUNGE", CHANGE),
            ("UID EXPUNGE 1:*", CHANGE),
            ("MOVE 1 Archive", CHANGE),
            ("UID MOVE 1:* Archive", CHANGE),
            ("COPY 1 Archive", CHANGE),
            ("UID COPY 1:* Shared/everybody", CHANGE),
            ("CREATE evil", CHANGE),
            ("DELETE Archive", CHANGE),
            ("RENAME Archive Trash", CHANGE),
            ("SUBSCRIBE Archive", CHANGE),
            ("UNSUBSCRIBE INBOX", CHANGE),
        ],
    )
    .await;
}

/// What an enterprise opens that wants its users to move and delete by way of the operator.
#[tokio::test]
async fn under_mailbox_allow_those_are_done_and_still_nothing_is_shown() {
    let scene = Scene::under("change", &messages(), &messages()[..2]).await;
    let mut program = scene.reader().await;
    for command in [
        "CREATE made",
        "UID COPY 1 made",
        "UID MOVE 3 made",
        "UID STORE 2 +FLAGS.SILENT (\\Deleted)",
        "UID EXPUNGE 2",
        "SUBSCRIBE made",
        "RENAME made kept",
        "CLOSE",
        "DELETE Archive",
    ] {
        let told = program.ask(command).await;
        assert!(told.contains(" OK "), "{command}: {told}");
    }
    let kept = scene.kept().await;
    assert!(
        kept.contains("kept\n") && !kept.contains("Archive") && kept.matches("FLAGS (").count() >= 3,
        "{kept}"
    );
    let wire = [scene.liar.asked().concat(), scene.liar.heard().concat()].concat();
    assert!(wire.len() > 1_000 && !String::from_utf8_lossy(&wire).contains(SECRET));
    assert_eq!(scene.raised(), [""; 0]);
}

#[tokio::test]
async fn a_close_that_would_expunge() {
    let scene = Scene::open().await;
    let mut direct = scene.direct().await;
    direct.ask("SELECT INBOX").await;
    direct.ask("STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    let before = scene.kept().await;
    let mut proxy = scene.proxy().await;
    assert!(proxy.ask("CLOSE").await.contains(" OK "));
    assert!(proxy.ask("UID FETCH 1 (ENVELOPE)").await.contains(" BAD no mailbox is selected"));
    assert_eq!(scene.kept().await, before, "what is deleted is still there");
    assert!(before.contains("\\Deleted"));
}

#[tokio::test]
async fn what_is_on_no_list() {
    const NONE: &str = "BAD no such command here";
    let rows = [
        "REPLACE 1 INBOX {1+}\r\nx",
        "NOTIFY SET (SELECTED (MessageNew (BODY[])))",
        "COMPRESS DEFLATE",
        "CANCELUPDATE \"x\"",
        "GENURLAUTH \"imap://ann@example.org/INBOX/;UID=1;URLAUTH=anonymous\" INTERNAL",
        "RESETKEY",
        "URLFETCH \"imap://ann@example.org/INBOX/;UID=1\"",
        "BURL imap://ann@example.org/INBOX/;UID=1 LAST",
        "SETACL INBOX evil lr",
        "GETACL INBOX",
        "DELETEACL INBOX ann",
        "MYRIGHTS INBOX",
        "SETMETADATA INBOX (/private/vendor/redirect \"evil\")",
        "GETMETADATA INBOX /private/comment",
        "SETQUOTA \"\" (STORAGE 1)",
        "GETQUOTAROOT INBOX",
        "PUTSCRIPT \"x\" {28+}\r\nredirect \"evil@evil.example\"",
        "UNAUTHENTICATE",
        "XLIST \"\" *",
        "UID BODY 1",
        "XENCRYPTED",
    ];
    let scene = Scene::open().await;
    refused(&scene, &rows.map(|row| (row, NONE))).await;
    refused(
        &scene,
        &[
            ("STARTTLS", "BAD already logged in"),
            ("LOGIN bob secret", "BAD already logged in"),
            ("AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=", "BAD already logged in"),
        ],
    )
    .await;
    let mut proxy = scene.proxy().await;
    assert!(proxy.ask("ENABLE IMAP4rev2 UTF8=ACCEPT").await.starts_with("* ENABLED\r\n"));
    let told = proxy.ask("CAPABILITY").await;
    for name in [
        "SORT",
        "THREAD",
        "CATENATE",
        "NOTIFY",
        "COMPRESS",
        "CONTEXT",
        "URLAUTH",
        "ACL",
        "METADATA",
        "QUOTA",
        "STARTTLS",
        "IMAP4rev2",
        "UTF8",
        "REPLACE",
        "MOVE",
        "WITHIN",
        "SEARCHRES",
        "SIZE",
    ] {
        assert!(!told.contains(name), "{name}: {told}");
    }
}

#[tokio::test]
async fn a_second_command_smuggled_into_one() {
    let scene = Scene::open().await;
    for (smuggled, answer) in [
        ("NOOP\nx DELETE Archive", "BAD"),
        ("NOOP\rx DELETE Archive", "BAD"),
        ("NOOP \0x DELETE Archive", "BAD"),
        ("UID FETCH 1 (FLAGS)\nx SEARCH TEXT merger", "BAD"),
        ("LIST \"\" \"a\nx DELETE Archive\"", "BAD"),
        ("STATUS {12+}\r\nx\r\nx DELETE A (MESSAGES)", "BAD"),
        ("UID FETCH 1 BODY.PEEK[HEADER.FIELDS ({7+}\r\nSUBJECT)]", "BAD"),
        ("UID FETCH 1 BODY.PEEK[HEADER.FIELDS (\"X\r\nx DELETE Archive\")]", "BAD"),
        ("SEARCH HEADER {19+}\r\nx\r\nx DELETE Archive\r\n merger", "BAD"),
    ] {
        let mut proxy = scene.proxy().await;
        let (before, asked) = (scene.kept().await, scene.asked());
        let told = proxy.ask(smuggled).await;
        assert!(told.contains(&format!(" {answer} ")), "{}: {told}", smuggled.escape_debug());
        assert!(!told.contains(SECRET), "{told}");
        assert_eq!(scene.asked(), asked, "{}", smuggled.escape_debug());
        assert_eq!(scene.kept().await, before, "{}", smuggled.escape_debug());
    }
}

#[tokio::test]
async fn the_credential_at_the_mail_server_itself() {
    let scene = Scene::open().await;
    let secret = scene.credential.secret.expose_printed();
    let mut direct = Session::connect(scene.dovecot.port).await;
    // (A wrong password costs seconds there.)
    for name in [ANN, "ann*gateway"] {
        let told = direct.ask(&format!("LOGIN \"{name}\" \"{}\"", *secret)).await;
        assert!(told.contains(" NO "), "{name}: {told}");
    }
}
