//! What is said and kept, as terms: two are equal where the octets would be, and nothing is learned from one but by the
//! rules in [`crate::attacker`].

use std::fmt;

/// The private half of a share or a point, by who drew it. ML-KEM's key goes with it: neither alone opens anything.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Ephemeral {
    /// The attacker's. All of hers are one: she knows them all.
    Attacker,
    /// A device's, for its pairing.
    Device(u8),
    /// A device's, for a rekey.
    Renewal(u8),
    /// The service's, by what for, and how many it had drawn.
    Service { invitation: u8, number: u8 },
}

/// A pairing code. What is not right is all the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Code {
    /// That of this invitation.
    Of(u8),
    /// One that is of none.
    Wrong,
}

/// A SPAKE2+ share: made under a code (pairing/spec.md section 3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Share {
    pub(crate) secret: Ephemeral,
    pub(crate) code: Code,
}

/// A party's signing key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Key {
    Attacker,
    Device(u8),
    /// The attacker's, ground until its own hash agrees with that of this device's key in the digits that people compare.
    Ground(u8),
}

/// Which service signs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Signer {
    Attacker,
    Service,
}

/// What `Context` and `th` bind (section 4): whoever sees anything else has another root.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Transcript {
    pub(crate) invitation: u8,
    pub(crate) share_p: Share,
    pub(crate) share_v: Share,
    pub(crate) key: Key,
    pub(crate) signer: Signer,
}

/// `root_e`: that of an exchange, and the rekeys since (section 9). Its key-encryption keys and their name go with it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Root {
    pub(crate) exchange: Transcript,
    pub(crate) renewals: [Option<Renewal>; EPOCHS],
}

/// The two points of a rekey.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Renewal {
    pub(crate) party: Ephemeral,
    pub(crate) service: Ephemeral,
}

/// Rekeys of one pairing that are looked at.
pub(crate) const EPOCHS: usize = 2;

impl Root {
    /// `root_0`.
    pub(crate) const fn of(exchange: Transcript) -> Self {
        Self { exchange, renewals: [None; EPOCHS] }
    }

    pub(crate) fn epoch(&self) -> usize {
        self.renewals.iter().flatten().count()
    }

    /// The next epoch's root; `None` beyond what is looked at.
    pub(crate) fn renewed(mut self, renewal: Renewal) -> Option<Self> {
        let last = self.epoch();
        *self.renewals.get_mut(last)? = Some(renewal);
        Some(self)
    }

    /// The root that this one was made from, and how.
    pub(crate) fn before(mut self) -> Option<(Self, Renewal)> {
        let last = self.epoch().checked_sub(1)?;
        let renewal = self.renewals[last].take()?;
        Some((self, renewal))
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invitation, share_p, share_v, key, signer } = self;
        write!(f, "<{invitation}: {:?} and {:?}, for {key:?}, by {signer:?}>", share_p.secret, share_v.secret)
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "root {} of {:?}", self.epoch(), self.exchange)?;
        self.renewals
            .iter()
            .flatten()
            .try_for_each(|Renewal { party, service }| write!(f, ", then {party:?} and {service:?}"))
    }
}

/// A session key: of which session root, and generation (session/spec.md section 1). One session is looked at.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SessionKey {
    pub(crate) root: u8,
    pub(crate) generation: u8,
}

/// What people compare (section 11).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Digits {
    /// As they are: of the transcript, which names the key too.
    Exchange(Transcript),
    /// As they must not be: of the key alone, with which a ground one agrees.
    Key(u8),
}

/// What a service gives in its box.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Grant {
    pub(crate) exchange: Transcript,
    pub(crate) active: bool,
}

/// What goes over the network, all of which the attacker reads.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Message {
    Begin {
        invitation: u8,
        share_p: Share,
        key: Key,
    },
    /// `share_v` and `confirm_v`.
    Begun(Transcript),
    /// `confirm_p` and the client's box.
    Finish {
        exchange: Transcript,
        pinned: bool,
    },
    Finished(Grant),
    /// A token that names an epoch. It is a bearer's: whoever reads it may ask for anything with it.
    Token {
        kek: Root,
    },
    Rekey {
        kek: Root,
        point: Ephemeral,
    },
    /// The service's point, and `confirm` under this root.
    Rekeyed(Root),
    /// A session key, wrapped under this root.
    Envelope {
        root: Root,
        key: SessionKey,
    },
    /// What must never be sent: a session key as it is.
    Bare(SessionKey),
}
