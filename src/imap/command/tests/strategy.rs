//! Commands of every kind, and octets that are nearly commands.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::super::*;

fn text(pattern: &'static str) -> impl Strategy<Value = String> + Clone {
    pattern
}

fn octets() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        text("[a-zA-Z0-9 \\]\\[()\"\\\\%*{}+-]{0,8}").prop_map(String::into_bytes),
        prop::collection::vec(1_u8..=255, 0..6),
        Just(b"NIL".to_vec()),
        Just(vec![b'x'; 1200]),
        Just(vec![b'\n'; 4097]),
    ]
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        Just(Number::Last),
        Just(Number::At(NonZeroU32::MAX)),
        (1_u32..99).prop_map(|number| Number::At(NonZeroU32::new(number).unwrap()))
    ]
}

fn set() -> impl Strategy<Value = Set> + Clone {
    let range = (number(), number()).prop_map(|(one, other)| Range::new(one, other));
    let sets = prop::collection::vec(range, 1..4).prop_map(|ranges| Set::new(ranges).unwrap());
    std::rc::Rc::new(sets)
}

fn mailbox() -> impl Strategy<Value = Mailbox> + Clone {
    text("[a-zA-Z&/ \u{e9}\u{1f600}\"~*]{1,8}").prop_map(|name| Mailbox::new(&name).unwrap())
}

fn atom() -> impl Strategy<Value = Atom> + Clone {
    text("[A-Z0-9$=+/\\[-]{1,8}").prop_map(|name| Atom::new(&name).unwrap())
}

fn flag() -> impl Strategy<Value = Flag> + Clone {
    text("\\\\Seen|\\\\deleted|\\\\X|[a-z$\\[]{1,5}").prop_map(|name| Flag::new(&name).unwrap())
}

fn date() -> impl Strategy<Value = Date> + Clone {
    (1_u16..=9999, 1_u8..=12, 1_u8..=28).prop_map(|(year, month, day)| Date::new(year, month, day).unwrap())
}

fn one_of<T: Clone + fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> + Clone {
    prop::sample::select(all)
}

fn section() -> impl Strategy<Value = Section> + Clone {
    let part = prop::collection::vec((1_u32..20).prop_map(|n| NonZeroU32::new(n).unwrap()), 0..4);
    let fields = || {
        prop::collection::vec("[a-zA-Z\"\\\\%(\\]-]{1,6}|NIL", 1..4)
            .prop_map(|names| Fields::new(names.iter().map(String::as_str)).unwrap())
    };
    let text = prop_oneof![
        Just(None),
        Just(Some(SectionText::Header)),
        Just(Some(SectionText::Text)),
        Just(Some(SectionText::Mime)),
        fields().prop_map(|fields| Some(SectionText::Fields(fields))),
        fields().prop_map(|fields| Some(SectionText::FieldsNot(fields))),
    ];
    (part, text).prop_filter_map("MIME of a part", |(part, text)| Section::new(Part(part), text))
}

fn asked() -> impl Strategy<Value = Asked> + Clone {
    use Item::*;
    let plain = one_of(&[
        Flags,
        Uid,
        ModSeq,
        InternalDate,
        EmailId,
        MailboxId,
        ThreadId,
        Envelope,
        BodyStructure,
        Body,
        Rfc822,
        Rfc822Header,
        Rfc822Text,
        Rfc822Size,
        Preview,
        PreviewLazy,
        Snippet,
    ]);
    let part =
        prop::collection::vec((1_u32..20).prop_map(|n| NonZeroU32::new(n).unwrap()), 0..3).prop_map(Part);
    let item = prop_oneof![
        plain,
        section().prop_map(Section),
        part.clone().prop_map(Binary),
        part.prop_map(BinarySize)
    ];
    let partial = prop::option::of(
        (any::<u64>(), 1_u32..)
            .prop_map(|(origin, count)| Partial { origin, count: NonZeroU32::new(count).unwrap() }),
    );
    (item, any::<bool>(), partial).prop_map(|(item, peek, partial)| {
        Asked::new(item.clone(), peek, partial).unwrap_or_else(|| Asked::whole(item))
    })
}

fn key() -> impl Strategy<Value = Key> {
    let modseq = (
        prop::option::of((Just(b"/flags/\\seen".to_vec()), one_of(&[EntryType::All, EntryType::Shared]))),
        any::<u64>(),
    );
    let leaf = prop_oneof![
        one_of(State::ALL).prop_map(Key::Is),
        atom().prop_map(Key::Keyword),
        atom().prop_map(Key::Unkeyword),
        (one_of(Place::ALL), octets()).prop_map(|(place, string)| Key::Has(place, string)),
        (text("[A-Z-]{1,8}|NIL|X\""), octets()).prop_map(|(field, string)| Key::Header(field, string)),
        (one_of(When::ALL), date()).prop_map(|(when, date)| Key::Dated(when, date)),
        (one_of(Measure::ALL), any::<u32>()).prop_map(|(measure, number)| Key::Measured(measure, number)),
        modseq.prop_map(|(entry, since)| Key::ModSeq(entry, since)),
        set().prop_map(Key::Numbers),
        set().prop_map(Key::Uids),
    ];
    leaf.prop_recursive(4, 12, 3, |key| {
        prop_oneof![
            key.clone().prop_map(|key| Key::Not(Box::new(key))),
            [key.clone(), key.clone()].prop_map(|keys| Key::Or(Box::new(keys))),
            prop::collection::vec(key, 1..4).prop_map(Key::And),
        ]
    })
}

fn search() -> impl Strategy<Value = Search> {
    use SearchReturn::*;
    let returns = prop::option::of(prop::collection::vec(one_of(&[Min, Max, All, Count]), 0..4));
    let charset = prop::option::of(one_of(&[Charset::UsAscii, Charset::Utf8]));
    (returns, charset, prop::collection::vec(key(), 1..4)).prop_map(|(returns, charset, keys)| Search {
        returns,
        charset,
        keys,
    })
}

fn status_items() -> impl Strategy<Value = Vec<StatusItem>> + Clone {
    use StatusItem::*;
    prop::collection::vec(
        one_of(&[Messages, Recent, UidNext, UidValidity, Unseen, Deleted, Size, HighestModSeq, MailboxId]),
        1..4,
    )
}

fn list() -> impl Strategy<Value = List> {
    use ListSelect::*;
    let returns = prop_oneof![
        Just(ListReturn::Subscribed),
        Just(ListReturn::Children),
        Just(ListReturn::SpecialUse),
        status_items().prop_map(ListReturn::Status)
    ];
    (
        prop::collection::vec(one_of(&[Subscribed, Remote, RecursiveMatch, SpecialUse]), 0..3),
        text("[ -~]{0,6}").prop_map(|text| Reference::new(&text).unwrap()),
        prop::collection::vec(text("[ -~]{0,6}").prop_map(|text| Pattern::new(&text).unwrap()), 1..3),
        prop::collection::vec(returns, 0..3),
    )
        .prop_map(|(select, reference, patterns, returns)| List { select, reference, patterns, returns })
}

fn select_parameters() -> impl Strategy<Value = Vec<SelectParameter>> + Clone {
    let parameter = prop_oneof![
        Just(SelectParameter::CondStore),
        (any::<u32>(), any::<u64>(), prop::option::of(set()), prop::option::of((set(), set()))).prop_map(
            |(uid_validity, mod_seq, known, matched)| SelectParameter::QResync {
                uid_validity,
                mod_seq,
                known,
                matched
            }
        )
    ];
    std::rc::Rc::new(prop::collection::vec(parameter, 0..3))
}

fn without_messages() -> impl Strategy<Value = Body> {
    let id = (text("[ -~]{0,6}").prop_map(String::into_bytes), prop::option::of(octets()));
    let initial = prop::option::of(text("[A-Za-z0-9+/]{0,8}={1,2}").prop_map(|text| Password(text.into())));
    prop_oneof![
        one_of(&[
            Body::Capability,
            Body::Check,
            Body::Close,
            Body::Expunge,
            Body::Idle,
            Body::Logout,
            Body::Namespace,
            Body::Noop,
            Body::StartTls,
            Body::Unselect,
        ]),
        (atom(), initial).prop_map(|(mechanism, initial)| Body::Authenticate { mechanism, initial }),
        (octets(), octets()).prop_map(|(user, password)| Body::Login { user, password: Password(password) }),
        prop::collection::vec(atom(), 1..3).prop_map(Body::Enable),
        prop::collection::vec(id, 0..3).prop_map(Body::Id),
        (mailbox(), select_parameters()).prop_map(|(mailbox, parameters)| Body::Select(mailbox, parameters)),
        (mailbox(), select_parameters()).prop_map(|(mailbox, parameters)| Body::Examine(mailbox, parameters)),
        mailbox().prop_map(Body::Create),
        mailbox().prop_map(Body::Delete),
        (mailbox(), mailbox()).prop_map(|(from, to)| Body::Rename(from, to)),
        mailbox().prop_map(Body::Subscribe),
        mailbox().prop_map(Body::Unsubscribe),
        list().prop_map(Body::List),
        (text("[ -~]{0,6}"), text("[ -~]{0,6}"))
            .prop_map(|(name, pattern)| Body::Lsub(Reference(name), Pattern(pattern))),
        (mailbox(), status_items()).prop_map(|(mailbox, items)| Body::Status(mailbox, items)),
    ]
}

fn with_messages() -> impl Strategy<Value = Body> {
    let by = || one_of(&[By::Sequence, By::Uid]);
    let modifier = prop_oneof![
        any::<u64>().prop_map(FetchModifier::ChangedSince),
        Just(FetchModifier::Vanished),
        Just(FetchModifier::XEncrypted)
    ];
    let store = (
        (by(), set(), prop::option::of(any::<u64>())),
        (
            one_of(&[Change::Add, Change::Remove, Change::Replace]),
            any::<bool>(),
            prop::collection::vec(flag(), 0..3),
        ),
    );
    prop_oneof![
        (by(), set(), prop::collection::vec(asked(), 1..5), prop::collection::vec(modifier, 0..3))
            .prop_map(|(by, set, items, modifiers)| Body::Fetch { by, set, items, modifiers }),
        (by(), search()).prop_map(|(by, search)| Body::Search(by, search)),
        store.prop_map(|((by, set, unchanged_since), (change, silent, flags))| Body::Store {
            by,
            set,
            unchanged_since,
            change,
            silent,
            flags
        }),
        (by(), set(), mailbox()).prop_map(|(by, set, mailbox)| Body::Copy(by, set, mailbox)),
        (by(), set(), mailbox()).prop_map(|(by, set, mailbox)| Body::Move(by, set, mailbox)),
        set().prop_map(Body::UidExpunge),
    ]
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let tag = text("[a-zA-Z0-9.\\]\\[]{1,6}").prop_map(|text| Tag::new(&text).unwrap());
    (tag, prop_oneof![without_messages(), with_messages()]).prop_map(|(tag, body)| Command { tag, body })
}

pub(super) fn literals() -> impl Strategy<Value = Literals> {
    one_of(&[Literals::Waiting, Literals::Plus, Literals::Minus])
}

/// Octets that look like commands, and go wrong anywhere.
pub(super) fn wire() -> impl Strategy<Value = Vec<u8>> {
    let word = one_of(&[
        "a ",
        "b1 ",
        "UID ",
        "FETCH ",
        "SEARCH ",
        "STORE ",
        "APPEND ",
        "SELECT ",
        "LOGIN ",
        "LIST ",
        "NOOP",
        "1:*",
        "5",
        " ",
        "(",
        ")",
        "BODY",
        "[",
        "]",
        "<0.5>",
        "HEADER.FIELDS ",
        "FLAGS",
        "\"x\"",
        "{3}\r\n",
        "{2+}\r\n",
        "abc",
        "\r\n",
        "\r\n",
        "\r\nc NOOP\r\n",
        "OR ",
        "NOT ",
        "\\Seen",
        "+FLAGS ",
        "\n",
        "\0",
        "&AOk-",
        "INBOX",
        "RETURN ",
        "\" 1-Jan-2026 00:00:00 +0000\"",
    ]);
    prop::collection::vec(word, 0..20).prop_map(|words| words.concat().into_bytes())
}
