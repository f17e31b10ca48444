//! From a line to a command, and back.

use super::cursor::Cursor;
use super::{
    Asked, Atom, Body, By, Change, DateTime, FetchModifier, Flag, IdFields, Item, List, ListReturn,
    ListSelect, Password, Pattern, Reference, Refusal, Search, SelectParameter, Set, StatusItem, Tag,
};
use crate::mailbox::Mailbox;
use crate::scanner::Kind;

/// The tag, so that also what is refused can be answered.
pub(super) fn read_tag(cursor: &mut Cursor<'_>) -> Result<Tag, Refusal> {
    let word = cursor.word().map_err(|_| Refusal::TagMalformed)?;
    std::str::from_utf8(word).map_err(|_| Refusal::TagMalformed).and_then(Tag::new)
}

/// What follows the tag.
pub(super) fn read_body(cursor: &mut Cursor<'_>) -> Result<Body, Refusal> {
    cursor.space()?;
    let name = cursor.keyword()?;
    let body = match name.as_str() {
        "CAPABILITY" => Body::Capability,
        "CHECK" => Body::Check,
        "CLOSE" => Body::Close,
        "EXPUNGE" => Body::Expunge,
        "IDLE" => Body::Idle,
        "LOGOUT" => Body::Logout,
        "NAMESPACE" => Body::Namespace,
        "NOOP" => Body::Noop,
        "STARTTLS" => Body::StartTls,
        "UNSELECT" => Body::Unselect,
        _ => {
            cursor
                .space()
                .map_err(|missing| if is_known(&name) { missing } else { Refusal::CommandUnknown })?;
            read_arguments(&name, cursor)?
        }
    };
    cursor.end()?;
    Ok(body)
}

fn read_arguments(name: &str, cursor: &mut Cursor<'_>) -> Result<Body, Refusal> {
    match name {
        "AUTHENTICATE" => {
            let mechanism = Atom::read(cursor)?.into_upper_case();
            let initial = if cursor.eat(Kind::Space) { Some(read_initial(cursor)?) } else { None };
            Ok(Body::Authenticate { mechanism, initial })
        }
        "LOGIN" => {
            let user = cursor.astring()?.into_owned();
            cursor.space()?;
            Ok(Body::Login { user, password: Password(cursor.astring()?.into_owned()) })
        }
        // Whole ones never come here: their messages are not kept.
        "APPEND" => Err(Refusal::ArgumentMalformed),
        "ENABLE" => {
            let mut names = vec![Atom::read(cursor)?.into_upper_case()];
            while cursor.eat(Kind::Space) {
                names.push(Atom::read(cursor)?.into_upper_case());
            }
            Ok(Body::Enable(names))
        }
        "ID" => read_id(cursor).map(Body::Id),
        "SELECT" => Ok(Body::Select(read_mailbox(cursor)?, read_select_parameters(cursor)?)),
        "EXAMINE" => Ok(Body::Examine(read_mailbox(cursor)?, read_select_parameters(cursor)?)),
        "CREATE" => read_mailbox(cursor).map(Body::Create),
        "DELETE" => read_mailbox(cursor).map(Body::Delete),
        "SUBSCRIBE" => read_mailbox(cursor).map(Body::Subscribe),
        "UNSUBSCRIBE" => read_mailbox(cursor).map(Body::Unsubscribe),
        "RENAME" => {
            let from = read_mailbox(cursor)?;
            cursor.space()?;
            Ok(Body::Rename(from, read_mailbox(cursor)?))
        }
        "LIST" => read_list(cursor).map(Body::List),
        "LSUB" => {
            let reference = read_reference(cursor)?;
            cursor.space()?;
            Ok(Body::Lsub(reference, read_pattern(cursor)?))
        }
        "STATUS" => {
            let mailbox = read_mailbox(cursor)?;
            cursor.space()?;
            Ok(Body::Status(mailbox, read_status_items(cursor)?))
        }
        "UID" => {
            let name = cursor.keyword()?;
            cursor.space()?;
            read_numbered(&name, By::Uid, cursor)
        }
        _ => read_numbered(name, By::Sequence, cursor),
    }
}

/// The commands that UID may precede.
fn read_numbered(name: &str, by: By, cursor: &mut Cursor<'_>) -> Result<Body, Refusal> {
    match (name, by) {
        ("SEARCH", _) => Search::read(cursor).map(|search| Body::Search(by, search)),
        ("FETCH", _) => {
            let set = read_set(cursor)?;
            cursor.space()?;
            let items = read_items(cursor)?;
            let modifiers =
                if cursor.eat(Kind::Space) { cursor.list(read_fetch_modifier)? } else { Vec::new() };
            Ok(Body::Fetch { by, set, items, modifiers })
        }
        ("STORE", _) => read_store(by, cursor),
        ("COPY" | "MOVE", _) => {
            let set = read_set(cursor)?;
            cursor.space()?;
            let mailbox = read_mailbox(cursor)?;
            Ok(if name == "COPY" { Body::Copy(by, set, mailbox) } else { Body::Move(by, set, mailbox) })
        }
        ("EXPUNGE", By::Uid) => read_set(cursor).map(Body::UidExpunge),
        _ => Err(Refusal::CommandUnknown),
    }
}

/// Whether arguments are what is missing.
fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 21] = [
        "APPEND",
        "AUTHENTICATE",
        "COPY",
        "CREATE",
        "DELETE",
        "ENABLE",
        "EXAMINE",
        "FETCH",
        "ID",
        "LIST",
        "LOGIN",
        "LSUB",
        "MOVE",
        "RENAME",
        "SEARCH",
        "SELECT",
        "STATUS",
        "STORE",
        "SUBSCRIBE",
        "UID",
        "UNSUBSCRIBE",
    ];
    KNOWN.contains(&name)
}

fn read_set(cursor: &mut Cursor<'_>) -> Result<Set, Refusal> {
    Set::parse(cursor.run()?)
}

pub(super) fn read_mailbox(cursor: &mut Cursor<'_>) -> Result<Mailbox, Refusal> {
    Mailbox::from_wire(&cursor.astring()?).map_err(|_| Refusal::MailboxMalformed)
}

fn read_reference(cursor: &mut Cursor<'_>) -> Result<Reference, Refusal> {
    let text = cursor.astring()?;
    std::str::from_utf8(&text).map_err(|_| Refusal::MailboxMalformed).and_then(Reference::new)
}

fn read_pattern(cursor: &mut Cursor<'_>) -> Result<Pattern, Refusal> {
    let text = match cursor.peek() {
        Some(Kind::Quoted | Kind::Literal(_)) => cursor.string()?,
        _ => cursor.word()?.into(),
    };
    std::str::from_utf8(&text).map_err(|_| Refusal::MailboxMalformed).and_then(Pattern::new)
}

/// Base64, or `=` for nothing.
fn read_initial(cursor: &mut Cursor<'_>) -> Result<Password, Refusal> {
    let text = cursor.run()?;
    let valid = text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+/=".contains(&octet));
    valid.then(|| Password(text.into())).ok_or(Refusal::ArgumentMalformed)
}

fn read_id(cursor: &mut Cursor<'_>) -> Result<IdFields, Refusal> {
    if cursor.eat(Kind::Nil) {
        return Ok(Vec::new());
    }
    cursor.list(|cursor| {
        let field = cursor.string()?.into_owned();
        cursor.space()?;
        Ok((field, cursor.nstring()?.map(Into::into)))
    })
}

fn read_select_parameters(cursor: &mut Cursor<'_>) -> Result<Vec<SelectParameter>, Refusal> {
    if !cursor.eat(Kind::Space) {
        return Ok(Vec::new());
    }
    cursor.list(|cursor| match cursor.keyword()?.as_str() {
        "CONDSTORE" => Ok(SelectParameter::CondStore),
        "QRESYNC" => {
            cursor.space()?;
            cursor.expect(Kind::Open)?;
            let uid_validity = cursor.number()?;
            cursor.space()?;
            let mod_seq = cursor.number()?;
            let (mut known, mut matched) = (None, None);
            if cursor.eat(Kind::Space) {
                if cursor.peek() != Some(Kind::Open) {
                    known = Some(read_set(cursor)?);
                }
                if known.is_none() || cursor.eat(Kind::Space) {
                    cursor.expect(Kind::Open)?;
                    let numbers = read_set(cursor)?;
                    cursor.space()?;
                    matched = Some((numbers, read_set(cursor)?));
                    cursor.expect(Kind::Close)?;
                }
            }
            cursor.expect(Kind::Close)?;
            Ok(SelectParameter::QResync { uid_validity, mod_seq, known, matched })
        }
        _ => Err(Refusal::ModifierUnknown),
    })
}

fn read_list(cursor: &mut Cursor<'_>) -> Result<List, Refusal> {
    let select = if cursor.peek() == Some(Kind::Open) {
        let select = cursor.list(|cursor| match cursor.keyword()?.as_str() {
            "SUBSCRIBED" => Ok(ListSelect::Subscribed),
            "REMOTE" => Ok(ListSelect::Remote),
            "RECURSIVEMATCH" => Ok(ListSelect::RecursiveMatch),
            "SPECIAL-USE" => Ok(ListSelect::SpecialUse),
            _ => Err(Refusal::ModifierUnknown),
        })?;
        cursor.space()?;
        select
    } else {
        Vec::new()
    };
    let reference = read_reference(cursor)?;
    cursor.space()?;
    let patterns = match cursor.peek() {
        Some(Kind::Open) => cursor.list(read_pattern)?,
        _ => vec![read_pattern(cursor)?],
    };
    if patterns.is_empty() {
        return Err(Refusal::ArgumentMissing);
    }
    let mut returns = Vec::new();
    if cursor.eat(Kind::Space) {
        if cursor.keyword()? != "RETURN" {
            return Err(Refusal::ArgumentSuperfluous);
        }
        cursor.space()?;
        returns = cursor.list(|cursor| match cursor.keyword()?.as_str() {
            "SUBSCRIBED" => Ok(ListReturn::Subscribed),
            "CHILDREN" => Ok(ListReturn::Children),
            "SPECIAL-USE" => Ok(ListReturn::SpecialUse),
            "STATUS" => {
                cursor.space()?;
                read_status_items(cursor).map(ListReturn::Status)
            }
            _ => Err(Refusal::ReturnUnknown),
        })?;
    }
    Ok(List { select, reference, patterns, returns })
}

fn read_status_items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>, Refusal> {
    let items = cursor.list(|cursor| {
        let name = cursor.keyword()?;
        let found = StatusItem::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, item)| *item).ok_or(Refusal::StatusItemUnknown)
    })?;
    if items.is_empty() { Err(Refusal::ArgumentMissing) } else { Ok(items) }
}

fn read_items(cursor: &mut Cursor<'_>) -> Result<Vec<Asked>, Refusal> {
    if cursor.peek() == Some(Kind::Open) {
        let items = cursor.list(Asked::read)?;
        return if items.is_empty() { Err(Refusal::ArgumentMissing) } else { Ok(items) };
    }
    let items: &[Item] = match cursor.clone().keyword()?.as_str() {
        "ALL" => &[Item::Flags, Item::InternalDate, Item::Rfc822Size, Item::Envelope],
        "FAST" => &[Item::Flags, Item::InternalDate, Item::Rfc822Size],
        "FULL" => &[Item::Flags, Item::InternalDate, Item::Rfc822Size, Item::Envelope, Item::Body],
        _ => return Asked::read(cursor).map(|item| vec![item]),
    };
    cursor.run()?;
    Ok(items.iter().cloned().map(Asked::whole).collect())
}

fn read_fetch_modifier(cursor: &mut Cursor<'_>) -> Result<FetchModifier, Refusal> {
    match cursor.keyword()?.as_str() {
        "CHANGEDSINCE" => {
            cursor.space()?;
            cursor.number().map(FetchModifier::ChangedSince)
        }
        "VANISHED" => Ok(FetchModifier::Vanished),
        "XENCRYPTED" => Ok(FetchModifier::XEncrypted),
        _ => Err(Refusal::ModifierUnknown),
    }
}

fn read_store(by: By, cursor: &mut Cursor<'_>) -> Result<Body, Refusal> {
    let set = read_set(cursor)?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.eat(Kind::Open) {
        if cursor.keyword()? != "UNCHANGEDSINCE" {
            return Err(Refusal::ModifierUnknown);
        }
        cursor.space()?;
        unchanged_since = Some(cursor.number()?);
        cursor.expect(Kind::Close)?;
        cursor.space()?;
    }
    let (change, silent) = match cursor.keyword()?.as_str() {
        "FLAGS" => (Change::Replace, false),
        "FLAGS.SILENT" => (Change::Replace, true),
        "+FLAGS" => (Change::Add, false),
        "+FLAGS.SILENT" => (Change::Add, true),
        "-FLAGS" => (Change::Remove, false),
        "-FLAGS.SILENT" => (Change::Remove, true),
        _ => return Err(Refusal::ItemUnknown),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(Kind::Open) {
        cursor.list(Flag::read)?
    } else {
        let mut flags = vec![Flag::read(cursor)?];
        while cursor.eat(Kind::Space) {
            flags.push(Flag::read(cursor)?);
        }
        flags
    };
    Ok(Body::Store { by, set, unchanged_since, change, silent, flags })
}

/// What stands before a message's literal: its flags and its date.
pub(super) fn read_message(cursor: &mut Cursor<'_>) -> Result<(Vec<Flag>, Option<DateTime>), Refusal> {
    let mut flags = Vec::new();
    if cursor.peek() == Some(Kind::Open) {
        flags = cursor.list(Flag::read)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(Kind::Quoted) {
        let text = cursor.string()?;
        date = Some(DateTime::parse(std::str::from_utf8(&text).map_err(|_| Refusal::DateMalformed)?)?);
        cursor.space()?;
    }
    Ok((flags, date))
}
