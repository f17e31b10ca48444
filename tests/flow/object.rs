//! Mail, sealed by the server with the key that it was issued, opened by the device with the key that it fetched; and
//! whatever somebody between them may have made of it.

use sidekey_client::Error;
use sidekey_client::error::Tampered;
use sidekey_client::object::{Kind, NotSealed, Reject};
use sidekey_protocol::object::{HEADER_SIZE, Header};
use sidekey_tests::mail::{Fetch, opened, sealed};
use sidekey_tests::{Office, Phone};

const LETTER: &[u8] = b"From: bob@example.org\r\nSubject: \xc3\xbcber\r\n\r\n* 1 FETCH (BODY[] {5}\r\n";
/// In a frame: magic 2, version, type, suite, record size, session 16, generation 4, salt 16, context 96, records.
const RECORDS: usize = HEADER_SIZE + 96;

/// A session, its key as the server and as the phone hold it, and one sealed letter.
struct Sealed {
    office: Office,
    key: std::sync::Arc<sidekey_client::SessionKey>,
    fetched: std::sync::Arc<sidekey_client::SessionKey>,
    frame: Vec<u8>,
}

impl Sealed {
    async fn letter() -> Self {
        Self::value(&Fetch::default(), LETTER).await
    }

    async fn value(place: &Fetch, value: &[u8]) -> Self {
        let office = Office::open().await;
        let key = office.session().await;
        let fetched = office.phone.client.session_key(key.session()).await.unwrap();
        let frame = sealed(&office.mail, &key, place, Kind::Literal, value).await;
        Self { office, key, fetched, frame }
    }

    fn phone(&self) -> &Phone {
        &self.office.phone
    }

    /// What opening `frame` as the letter comes to.
    async fn refused(&self, frame: &[u8]) -> Error {
        opened(self.phone(), &self.fetched, &Fetch::default(), frame).await.unwrap_err()
    }

    #[track_caller]
    fn is_tampered(error: &Error, why: Reject) {
        assert!(matches!(error, Error::Tampered(Tampered::Object(found)) if *found == why), "{error:?}");
    }

    #[track_caller]
    fn is_elsewhere(error: &Error, why: Reject) {
        assert!(matches!(error, Error::WrongPlace(found) if *found == why), "{error:?}");
    }
}

#[tokio::test]
async fn values_of_every_kind_place_and_size_are_read_as_they_were_sealed() {
    let office = Office::open().await;
    let key = office.session().await;
    let fetched = office.phone.client.session_key(key.session()).await.unwrap();
    let places = [
        Fetch::default(),
        Fetch { mailbox: "Entw\u{fc}rfe/2026", uid: u32::MAX, ..Fetch::default() },
        Fetch { item: "BODY[HEADER.FIELDS (SUBJECT FROM)]", ..Fetch::default() },
        Fetch { item: "ENVELOPE", uid_validity: u32::MAX, ..Fetch::default() },
        Fetch { item: "BINARY[1.2]", ..Fetch::default() },
        Fetch { partial: Some((16_384, 1 << 20)), ..Fetch::default() },
    ];
    let value: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    for place in &places {
        for size in [0, 1, 4085, 4086, 65_535, 65_536, 200_000] {
            for kind in [Kind::Quoted, Kind::Literal, Kind::Literal8, Kind::List] {
                let frame = sealed(&office.mail, &key, place, kind, &value[..size]).await;
                let read = opened(&office.phone, &fetched, place, &frame).await.unwrap();
                assert!(read == (kind, value[..size].to_vec()), "{place:?} {size}");
            }
        }
        let frame = sealed(&office.mail, &key, place, Kind::Nil, b"").await;
        assert_eq!(opened(&office.phone, &fetched, place, &frame).await.unwrap(), (Kind::Nil, vec![]));
    }
}

#[tokio::test]
async fn the_same_letter_sealed_twice_is_another_frame_of_the_same_length() {
    let letter = Sealed::letter().await;
    let again = sealed(&letter.office.mail, &letter.key, &Fetch::default(), Kind::Literal, LETTER).await;
    assert_eq!(again.len(), letter.frame.len());
    assert_ne!(again[RECORDS..], letter.frame[RECORDS..]);
    let shorter = sealed(&letter.office.mail, &letter.key, &Fetch::default(), Kind::Literal, b"").await;
    assert_eq!(shorter.len(), letter.frame.len(), "short letters are of one length");
    assert!(!letter.frame.windows(8).any(|octets| octets == &LETTER[..8]));
}

#[tokio::test]
async fn every_spelling_of_what_was_asked_opens() {
    let letter = Sealed::letter().await;
    for (mailbox, item) in [("inbox", "BODY[]"), ("INBOX", "body[]"), ("InBox", "RFC822")] {
        let asked = Fetch { mailbox, item, ..Fetch::default() };
        opened(letter.phone(), &letter.fetched, &asked, &letter.frame).await.unwrap();
    }
}

#[tokio::test]
async fn a_frame_names_the_session_and_generation_whose_key_opens_it() {
    let letter = Sealed::letter().await;
    let header = Header::read(letter.frame.first_chunk().unwrap()).unwrap();
    assert_eq!((header.session, header.generation), (letter.key.session(), 0));
    letter.office.mail.server.rotate(header.session).await.unwrap();
    let fresh = letter.phone().keys.client(letter.office.system.ambient()).await;
    let key = fresh.session_key_of(header.session, header.generation).await.unwrap();
    opened(letter.phone(), &key, &Fetch::default(), &letter.frame).await.unwrap();
}

#[tokio::test]
async fn a_letter_passed_off_as_another_is_refused_for_what_differs() {
    let letter = Sealed::letter().await;
    for (asked, why) in [
        (Fetch { mailbox: "Trash", ..Fetch::default() }, Reject::OtherMailbox),
        (Fetch { uid_validity: 4, ..Fetch::default() }, Reject::OtherUidValidity),
        (Fetch { uid: 8, ..Fetch::default() }, Reject::OtherSubject),
        (Fetch { item: "BODY[TEXT]", ..Fetch::default() }, Reject::OtherItem),
    ] {
        let error = opened(letter.phone(), &letter.fetched, &asked, &letter.frame).await.unwrap_err();
        Sealed::is_elsewhere(&error, why);
    }
    // Of another padding class: told before its context is looked at.
    for asked in [
        Fetch { item: "ENVELOPE", ..Fetch::default() },
        Fetch { partial: Some((0, 16_384)), ..Fetch::default() },
    ] {
        let error = opened(letter.phone(), &letter.fetched, &asked, &letter.frame).await.unwrap_err();
        Sealed::is_tampered(&error, Reject::OtherType);
    }
}

#[tokio::test]
async fn a_partial_that_was_shortened_or_moved_is_refused() {
    let asked = Fetch { partial: Some((16_384, 32_768)), ..Fetch::default() };
    for (partial, why) in
        [(Some((16_384, 16_384)), Reject::OtherExtent), (Some((32_768, 32_768)), Reject::OtherPosition)]
    {
        let sent = Sealed::value(&Fetch { partial, ..Fetch::default() }, LETTER).await;
        let error = opened(sent.phone(), &sent.fetched, &asked, &sent.frame).await.unwrap_err();
        Sealed::is_elsewhere(&error, why);
    }
}

#[tokio::test]
async fn every_octet_that_is_changed_is_found_and_named() {
    let letter = Sealed::letter().await;
    // Each field once, and then every 61st octet of the records.
    let fields = [
        (0, Reject::NotAFrame),
        (2, Reject::VersionUnknown),
        (3, Reject::TypeUnknown),
        (4, Reject::SuiteUnknown),
        (5, Reject::RecordSizeOutOfBounds),
        (6, Reject::OtherSession),
        (21, Reject::OtherSession),
        (22, Reject::OtherGeneration),
        (26, Reject::FirstRecordUnverified),
        (42, Reject::OtherKind),
        (43, Reject::OtherFlags),
        (44, Reject::ContextReserved),
        (46, Reject::OtherUidValidity),
        (50, Reject::OtherMailbox),
        (82, Reject::OtherSubject),
        (90, Reject::OtherPosition),
        (98, Reject::OtherItem),
        (130, Reject::OtherExtent),
    ];
    for (at, why) in fields {
        let mut frame = letter.frame.clone();
        frame[at] ^= 0x80;
        let error = letter.refused(&frame).await;
        match error {
            Error::WrongPlace(found) | Error::Tampered(Tampered::Object(found)) => {
                assert_eq!(found, why, "{at}")
            }
            error => panic!("{at}: {error:?}"),
        }
    }
    for at in (RECORDS..letter.frame.len()).step_by(61) {
        let mut frame = letter.frame.clone();
        frame[at] ^= 1;
        Sealed::is_tampered(&letter.refused(&frame).await, Reject::FirstRecordUnverified);
    }
}

#[tokio::test]
async fn another_suite_is_refused() {
    let letter = Sealed::letter().await;
    let mut frame = letter.frame.clone();
    assert_eq!(frame[4], 1);
    frame[4] = 2;
    Sealed::is_tampered(&letter.refused(&frame).await, Reject::OtherSuite);
}

#[tokio::test]
async fn a_frame_that_is_cut_or_lengthened_is_refused() {
    let letter = Sealed::letter().await;
    for length in [0, 1, HEADER_SIZE, RECORDS, RECORDS + 1, letter.frame.len() - 1] {
        Sealed::is_tampered(&letter.refused(&letter.frame[..length]).await, Reject::Truncated);
    }
    let more = [&letter.frame[..], &[0]].concat();
    let error = letter.refused(&more).await;
    assert!(matches!(error, Error::Tampered(Tampered::Object(_))), "{error:?}");
    let twice = [&letter.frame[..], &letter.frame].concat();
    let error = letter.refused(&twice).await;
    assert!(matches!(error, Error::Tampered(Tampered::Object(_))), "{error:?}");
}

/// A letter of four records: whatever is done to whole records is found.
#[tokio::test]
async fn records_that_are_dropped_swapped_doubled_or_spliced_are_refused() {
    const RECORD: usize = (1 << 16) + 16;
    let value = vec![b'x'; 200_000];
    let long = Sealed::value(&Fetch::default(), &value).await;
    let other = sealed(&long.office.mail, &long.key, &Fetch::default(), Kind::Literal, &value).await;
    let record = |frame: &[u8], n: usize| frame[RECORDS + n * RECORD..][..RECORD].to_vec();
    let (head, tail) = (&long.frame[..RECORDS], &long.frame[RECORDS + 3 * RECORD..]);
    let [r0, r1, r2] = [0, 1, 2].map(|n| record(&long.frame, n));
    let frames = [
        [head, &r0, &r2, tail].concat(),
        [head, &r0, &r2, &r1, tail].concat(),
        [head, &r1, &r0, &r2, tail].concat(),
        [head, &r0, &r1, &r1, &r2, tail].concat(),
        [head, &r0, &record(&other, 1), &r2, tail].concat(),
        [head, &r0, &r1, &r2].concat(),
        [head, &r0, &r1].concat(),
        [head, tail].concat(),
        [&other[..RECORDS], &r0, &r1, &r2, tail].concat(),
    ];
    for (n, frame) in frames.iter().enumerate() {
        let error = long.refused(frame).await;
        assert!(matches!(error, Error::Tampered(Tampered::Object(_))), "{n}: {error:?}");
    }
    opened(long.phone(), &long.fetched, &Fetch::default(), &long.frame).await.unwrap();
}

#[tokio::test]
async fn a_letter_of_another_session_is_refused() {
    let letter = Sealed::letter().await;
    let other = letter.office.session().await;
    let frame = sealed(&letter.office.mail, &other, &Fetch::default(), Kind::Literal, LETTER).await;
    Sealed::is_elsewhere(&letter.refused(&frame).await, Reject::OtherSession);
    // Renamed, it does not open either.
    let mut renamed = frame;
    renamed[6..22].copy_from_slice(letter.key.session().as_bytes());
    Sealed::is_tampered(&letter.refused(&renamed).await, Reject::FirstRecordUnverified);
}

#[tokio::test]
async fn a_letter_of_another_generation_is_refused() {
    let letter = Sealed::letter().await;
    let next = letter.office.mail.server.rotate(letter.key.session()).await.unwrap();
    let frame = sealed(&letter.office.mail, &next, &Fetch::default(), Kind::Literal, LETTER).await;
    Sealed::is_elsewhere(&letter.refused(&frame).await, Reject::OtherGeneration);
    let mut renumbered = frame;
    renumbered[22..26].copy_from_slice(&0_u32.to_be_bytes());
    Sealed::is_tampered(&letter.refused(&renumbered).await, Reject::FirstRecordUnverified);
}

#[tokio::test]
async fn plaintext_is_no_frame() {
    let letter = Sealed::letter().await;
    let plain = [LETTER, &[b' '; 4096]].concat();
    Sealed::is_tampered(&letter.refused(&plain).await, Reject::NotAFrame);
}

#[tokio::test]
async fn a_session_that_is_over_neither_seals_nor_opens() {
    let letter = Sealed::letter().await;
    letter.office.system.clock.set(letter.key.not_after());
    let (mail, place) = (&letter.office.mail.server, Fetch::default().context());
    assert!(matches!(mail.sealer(&letter.key, &place, Kind::Nil, 0), Err(NotSealed::Expired)));
    assert!(matches!(letter.refused(&letter.frame).await, Error::Expired));
}

#[tokio::test]
async fn another_users_device_opens_nothing() {
    use sidekey_tests::{BOB, MAIL, user};
    let letter = Sealed::letter().await;
    let bob = letter.office.system.pair_client(MAIL, BOB).await;
    let audience = sidekey_protocol::session::Audience::User(user(BOB));
    let own = letter.office.mail.server.issue(&audience, None, &Office::capabilities()).await.unwrap();
    let own = bob.client.session_key(own.session()).await.unwrap();
    let error = opened(&bob, &own, &Fetch::default(), &letter.frame).await.unwrap_err();
    Sealed::is_elsewhere(&error, Reject::OtherSession);
}
