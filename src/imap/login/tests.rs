use super::*;

/// What is sent until something else is to be done, and that.
fn talk(login: &mut Login, said: &str) -> (String, Option<Step>) {
    let mut input = said.as_bytes();
    let mut sent = Vec::new();
    loop {
        match login.next(&mut input) {
            Some(Step::Reply(octets)) => sent.extend(octets),
            step => return (String::from_utf8(sent).unwrap(), step),
        }
    }
}

fn credentials(user: &str, secret: &str) -> Option<Step> {
    Some(Step::Verify(Credentials { user: user.to_owned(), secret: Password::new(secret.into()) }))
}

fn encoded(plain: &str) -> String {
    BASE64_STANDARD.encode(plain)
}

#[test]
fn every_way_to_log_in_leads_to_the_same_question() {
    let plain = encoded("\0ann\0s3cret");
    for (said, sent) in [
        ("a LOGIN ann s3cret\r\n".to_owned(), ""),
        ("a LOGIN {3}\r\nann {6+}\r\ns3cret\r\n".to_owned(), "+ go on\r\n"),
        (format!("a AUTHENTICATE plain {plain}\r\n"), ""),
        (format!("a AUTHENTICATE PLAIN\r\n{plain}\r\n"), "+ \r\n"),
        (format!("a AUTHENTICATE PLAIN {}\r\n", encoded("ann\0ann\0s3cret")), ""),
    ] {
        let (mut login, _) = Login::begin(Tls::Established);
        assert_eq!(talk(&mut login, &said), (sent.to_owned(), credentials("ann", "s3cret")), "{said}");
    }
}

#[test]
fn nobody_is_asked_about_what_is_malformed_or_in_clear() {
    for (tls, said, sent) in [
        (Tls::Offered, "a LOGIN ann x\r\n".to_owned(), "a NO [PRIVACYREQUIRED] begin TLS first\r\n"),
        (Tls::Offered, "a AUTHENTICATE PLAIN\r\n".to_owned(), "a NO [PRIVACYREQUIRED] begin TLS first\r\n"),
        (Tls::Established, "a STARTTLS\r\n".to_owned(), "a BAD log in first\r\n"),
        (
            Tls::Established,
            "a AUTHENTICATE LOGIN\r\n".to_owned(),
            "a NO PLAIN is the only mechanism here\r\n",
        ),
        (Tls::Established, "a AUTHENTICATE PLAIN\r\n*\r\n".to_owned(), "+ \r\na BAD cancelled\r\n"),
        (Tls::Established, "a AUTHENTICATE PLAIN =\r\n".to_owned(), "a BAD the response is malformed\r\n"),
        (
            Tls::Established,
            format!("a AUTHENTICATE PLAIN {}\r\n", encoded("bob\0ann\0x")),
            "a NO [AUTHORIZATIONFAILED] nobody acts for another here\r\n",
        ),
        (
            Tls::Established,
            format!("a AUTHENTICATE PLAIN {}\r\n", encoded("\0ann\0x\0y")),
            "a BAD the response is malformed\r\n",
        ),
        (Tls::Established, "a LOGIN ann \"\"\r\n".to_owned(), "a BAD user and secret are needed\r\n"),
        (Tls::Established, "a SELECT INBOX\r\n".to_owned(), "a BAD log in first\r\n"),
        (Tls::Established, "a APPEND x {5}\r\nb NOOP\r\n".to_owned(), "a BAD log in first\r\nb OK done\r\n"),
    ] {
        let (mut login, _) = Login::begin(tls);
        assert_eq!(talk(&mut login, &said), (sent.to_owned(), None), "{said}");
    }
}

#[test]
fn before_tls_no_login_is_offered_and_none_is_taken_over_from_before() {
    let (mut login, greeting) = Login::begin(Tls::Offered);
    let greeting = String::from_utf8(greeting).unwrap();
    assert_eq!(
        greeting,
        "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ SASL-IR STARTTLS LOGINDISABLED] Sidekey is ready\r\n"
    );
    // The injected command stays in the input, which the caller throws away.
    let mut input = &b"a STARTTLS\r\nb LOGIN mallory x\r\n"[..];
    assert_eq!(login.next(&mut input), Some(Step::StartTls(b"a OK begin TLS\r\n".to_vec())));
    assert_eq!(input, b"b LOGIN mallory x\r\n");
    let (sent, _) = talk(&mut Login::after_tls(Tls::Established), "c CAPABILITY\r\n");
    assert_eq!(sent, "* CAPABILITY IMAP4rev1 ID LITERAL+ SASL-IR AUTH=PLAIN\r\nc OK done\r\n");
}

#[test]
fn what_was_found_out_decides() {
    let (mut login, _) = Login::begin(Tls::Established);
    for (outcome, sent) in [
        (Outcome::Refused, "a NO [AUTHENTICATIONFAILED] user or secret is wrong\r\n"),
        (Outcome::Unavailable, "a NO [UNAVAILABLE] try again later\r\n"),
    ] {
        talk(&mut login, "a LOGIN ann x\r\n");
        let Verified::Again(octets, again) = login.verified(&outcome) else { panic!("{sent}") };
        assert_eq!(String::from_utf8(octets).unwrap(), sent);
        login = again;
    }
    talk(&mut login, "a LOGIN ann x\r\n");
    let Verified::Over(octets) = login.verified(&Outcome::NoWayOn("no mail server today")) else {
        panic!("the third is the last")
    };
    assert_eq!(octets, b"a NO [UNAVAILABLE] no mail server today\r\n* BYE too many attempts\r\n");
    let (mut login, _) = Login::begin(Tls::Established);
    let mut input = &b"a LOGIN ann x\r\nb SELECT INBOX\r\n"[..];
    assert_eq!(login.next(&mut input), credentials("ann", "x"));
    assert_eq!(login.next(&mut input), None, "nothing is read before it is decided");
    let outcome = Outcome::Accepted(Capabilities::read("IMAP4rev1 XENCRYPTED").unwrap());
    let Verified::LoggedIn(octets, mut reader) = login.verified(&outcome) else { panic!("logged in") };
    assert_eq!(octets, b"a OK [CAPABILITY IMAP4rev1 XENCRYPTED] logged in\r\n");
    assert!(matches!(
        reader.next(&mut input),
        Ok(Some(Event::Command(Command { body: Body::Select(..), .. })))
    ));
}

#[test]
fn a_stranger_is_heard_for_a_while_and_not_kept() {
    let (mut login, _) = Login::begin(Tls::Established);
    let (sent, end) = talk(&mut login, &"a NOOP\r\n".repeat(40));
    assert_eq!((sent.lines().count(), end), (32, Some(Step::End(TOO_MANY.into()))));
    for said in
        ["a NOOP\nb NOOP\r\n".to_owned(), format!("a LOGIN ann {}", "x".repeat(5000)), "a ((((((".to_owned()]
    {
        let (mut login, _) = Login::begin(Tls::Established);
        let Some(Step::End(octets)) = login.next(&mut said.as_bytes()) else { panic!("{said}") };
        let text = String::from_utf8(octets).unwrap();
        assert!(text.starts_with("a BAD ") && text.ends_with("\r\n* BYE no IMAP\r\n"), "{text}");
    }
    let (mut login, _) = Login::begin(Tls::Established);
    assert!(matches!(talk(&mut login, "a LOGOUT\r\n").1, Some(Step::End(_))));
}

#[test]
fn a_secret_is_mute() {
    let (mut login, _) = Login::begin(Tls::Established);
    let step = talk(&mut login, "a LOGIN ann opensesame\r\n").1;
    let text = format!("{step:?} {login:?}");
    assert!(text.contains("ann") && !text.contains("opensesame"), "{text}");
}
