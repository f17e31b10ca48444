//! Why a command is not understood.

use std::fmt;

/// The client is wrong. One variant per check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "their texts say it")]
pub enum Refusal {
    ArgumentMalformed,
    ArgumentMissing,
    ArgumentSuperfluous,
    CharsetUnknown,
    CommandUnknown,
    DateMalformed,
    FieldMalformed,
    FlagMalformed,
    ItemUnknown,
    KeyUnknown,
    KeysTooDeep,
    LiteralMisplaced,
    MailboxMalformed,
    ModifierUnknown,
    NumberMalformed,
    PartialMalformed,
    ReturnUnknown,
    SectionMalformed,
    SetMalformed,
    StatusItemUnknown,
    TagMalformed,
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ArgumentMalformed => "an argument is malformed",
            Self::ArgumentMissing => "an argument is missing",
            Self::ArgumentSuperfluous => "there is more than the command takes",
            Self::CharsetUnknown => "the charset is neither US-ASCII nor UTF-8",
            Self::CommandUnknown => "no such command here",
            Self::DateMalformed => "a date is malformed",
            Self::FieldMalformed => "no name of a header field",
            Self::FlagMalformed => "a flag is malformed",
            Self::ItemUnknown => "no such item here",
            Self::KeyUnknown => "no such search key here",
            Self::KeysTooDeep => "too many search keys within search keys",
            Self::LiteralMisplaced => "a literal is not taken there",
            Self::MailboxMalformed => "a mailbox name is malformed",
            Self::ModifierUnknown => "no such modifier here",
            Self::NumberMalformed => "a number is malformed",
            Self::PartialMalformed => "a partial is malformed or misplaced",
            Self::ReturnUnknown => "no such return option here",
            Self::SectionMalformed => "a section is malformed",
            Self::SetMalformed => "a set of messages is malformed",
            Self::StatusItemUnknown => "no such status item here",
            Self::TagMalformed => "the tag is malformed",
            Self::TooLong => "the command is too long",
        })
    }
}

impl std::error::Error for Refusal {}
