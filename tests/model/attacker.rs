//! The attacker: the network is hers. She reads, drops, replays and forges what follows from what she knows.

use std::collections::BTreeSet;

use crate::rules::{Rules, Weakness};
use crate::terms::{Code, Ephemeral, Key, Message, Renewal, Root, SessionKey, Share, Signer, Transcript};

/// What she knows, and how often she has guessed.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Attacker {
    /// All that was ever sent.
    pub(crate) heard: BTreeSet<Message>,
    /// Codes that she knows.
    pub(crate) codes: [bool; 2],
    /// Roots that she took.
    pub(crate) taken: BTreeSet<Root>,
    /// Guesses at each code of which she has seen the answer.
    pub(crate) answered: [u8; 2],
    /// Exchanges that she has begun with a share of her own, and with others'.
    pub(crate) guessed: u8,
    pub(crate) replayed: u8,
}

impl Attacker {
    /// The code that her next guess at this invitation is, while `under_way` others are. She is as unlucky as can be: the
    /// right one is the sixth that she tries.
    pub(crate) fn next_code(&self, invitation: u8, under_way: u8) -> Code {
        let right = self.answered[usize::from(invitation)] + under_way >= GUESSES;
        if right || self.codes[usize::from(invitation)] { Code::Of(invitation) } else { Code::Wrong }
    }

    /// The answer to an exchange that she began: `confirm_v` tells her whether its code was right (section 3).
    pub(crate) fn hears_of_guess(&mut self, invitation: u8, right: bool) {
        let invitation = usize::from(invitation);
        if !self.codes[invitation] {
            self.answered[invitation] += 1;
            self.codes[invitation] = right;
        }
    }

    /// Whether a root follows from what she knows. SPAKE2+ tells nobody who has neither private half, not even with the
    /// code; a rekey takes the root before and one private half.
    pub(crate) fn has(&self, root: &Root, rules: &Rules) -> bool {
        has_root(root, &self.codes, &|root| self.taken.contains(root), rules)
    }

    /// The same for somebody who has recorded all that she has heard, and then takes these roots too.
    pub(crate) fn has_with(&self, root: &Root, stolen: &[Root], rules: &Rules) -> bool {
        let taken = |root: &Root| self.taken.contains(root) || stolen.contains(root);
        has_root(root, &self.codes, &taken, rules)
    }

    /// The session keys that she can read.
    pub(crate) fn reads<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = SessionKey> + 'a {
        self.heard.iter().filter_map(|message| match message {
            Message::Envelope { root, key } if self.has(root, rules) => Some(*key),
            Message::Bare(key) => Some(*key),
            _ => None,
        })
    }

    /// Keys that she can sign with, of those that she could name in a `begin`.
    pub(crate) fn keys(&self, rules: &Rules) -> Vec<Key> {
        let shown = |message: &Message| match message {
            Message::Finish { exchange, .. } if self.has(&Root::of(*exchange), rules) => match exchange.key {
                Key::Device(device) => Some(Key::Ground(device)),
                _ => None,
            },
            _ => None,
        };
        let ground: BTreeSet<Key> = self.heard.iter().filter_map(shown).collect();
        [Key::Attacker].into_iter().chain(ground).collect()
    }

    /// What a device that has begun may be answered: what it is, and what she makes up, as herself or in the service's name.
    pub(crate) fn answers(&self, invitation: u8, share_p: Share, key: Key) -> Vec<Transcript> {
        let own = |exchange: &Transcript| exchange.share_p == share_p && exchange.key == key;
        let heard = self.heard.iter().filter_map(|message| match message {
            Message::Begun(exchange) if own(exchange) => Some(*exchange),
            _ => None,
        });
        let mut answers: Vec<_> = heard.collect();
        if self.codes[usize::from(invitation)] {
            let share_v = Share { secret: Ephemeral::Attacker, code: Code::Of(invitation) };
            let forged = |signer| Transcript { invitation, share_p, share_v, key, signer };
            answers.extend([Signer::Attacker, Signer::Service].map(forged));
        }
        answers
    }

    /// Whether she can make the service's box of this exchange: she needs the root, and the signing key that it names.
    pub(crate) fn grants(&self, exchange: &Transcript, rules: &Rules) -> bool {
        let signs = exchange.signer == Signer::Attacker || rules.is(Weakness::BoxUnsigned);
        signs && self.has(&Root::of(*exchange), rules)
    }

    /// What a device may take for the answer to its rekey.
    pub(crate) fn renewals(&self, from: &Root, point: Ephemeral, rules: &Rules) -> Vec<Root> {
        let heard = self.heard.iter().filter_map(|message| match message {
            Message::Rekeyed(root) => Some(*root),
            _ => None,
        });
        let fits = |root: &Root| {
            root.before().is_some_and(|(before, renewal)| before == *from && renewal.party == point)
        };
        let mut answers: Vec<_> = heard.filter(fits).collect();
        if self.has(from, rules) && !rules.listens_only {
            answers.extend(from.renewed(Renewal { party: point, service: Ephemeral::Attacker }));
        }
        answers
    }
}

fn has_root(root: &Root, codes: &[bool; 2], taken: &dyn Fn(&Root) -> bool, rules: &Rules) -> bool {
    if taken(root) {
        return true;
    }
    let hers = |ephemeral| ephemeral == Ephemeral::Attacker;
    match root.before() {
        Some((before, renewal)) => {
            let half =
                hers(renewal.party) || hers(renewal.service) || rules.is(Weakness::RekeyWithoutExchange);
            half && has_root(&before, codes, taken, rules)
        }
        None => {
            let Transcript { invitation, share_p, share_v, .. } = root.exchange;
            let agreed = share_p.code == share_v.code && share_v.code == Code::Of(invitation);
            agreed && codes[usize::from(invitation)] && (hers(share_p.secret) || hers(share_v.secret))
        }
    }
}

/// Guesses that an invitation allows.
pub(crate) const GUESSES: u8 = 5;
