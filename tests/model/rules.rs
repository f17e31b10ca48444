//! What is looked at: how a code travels, what the attacker has, how much of everything; and what may be wrong.

/// One variant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) name: &'static str,
    /// The link came with a pin.
    pub(crate) pinned: bool,
    /// The pairing waits for an administrator's word (pairing/spec.md section 11).
    pub(crate) approval: bool,
    /// She reads what an SMS or a link shows: the invitations' ids.
    pub(crate) reads_sms: bool,
    /// She reads the codes on their way.
    pub(crate) reads_code: bool,
    /// She has the first device, and all that it holds, until it is revoked.
    pub(crate) has_phone: bool,
    /// She had a look at the service's disk before anything is renewed, and has only listened since.
    pub(crate) has_backup: bool,
    pub(crate) listens_only: bool,
    /// Both devices are paired already.
    pub(crate) paired: bool,
    /// Devices that pair, or are paired.
    pub(crate) devices: u8,
    /// Guesses that she makes, and exchanges that she begins with what others have sent, at both invitations together.
    pub(crate) guesses: u8,
    pub(crate) replays: u8,
    pub(crate) crashes: u8,
    /// Private halves that the service draws for rekeys.
    pub(crate) renewals: u8,
    /// An administrator cancels invitations.
    pub(crate) cancels: bool,
    /// A mail server opens a session; an administrator revokes the first device.
    pub(crate) sessions: bool,
    pub(crate) weakness: Option<Weakness>,
}

impl Rules {
    /// Two devices pair, each with its own code.
    pub(crate) const PAIRING: Self = Self {
        name: "code in hand",
        pinned: true,
        approval: false,
        reads_sms: false,
        reads_code: false,
        has_phone: false,
        has_backup: false,
        listens_only: false,
        paired: false,
        devices: 2,
        guesses: 6,
        replays: 1,
        crashes: 1,
        renewals: 0,
        cancels: false,
        sessions: false,
        weakness: None,
    };

    /// Two paired devices of one user, of which the first renews its root and is revoked.
    pub(crate) const SESSIONS: Self = Self {
        name: "everything read",
        paired: true,
        guesses: 0,
        replays: 0,
        renewals: 2,
        sessions: true,
        ..Self::PAIRING
    };

    pub(crate) fn is(&self, weakness: Weakness) -> bool {
        self.weakness == Some(weakness)
    }

    pub(crate) const fn but(self, weakness: Weakness) -> Self {
        Self { weakness: Some(weakness), ..self }
    }
}

/// What a service or a client must not do. The checker finds what follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weakness {
    /// `begin` answers, and spends the attempt then.
    AttemptAfterAnswer,
    /// Whether attempts are left is looked at before the commit, not in it.
    AttemptOutsideCommit,
    /// Attempts are counted in memory.
    AttemptInMemory,
    /// A code that travelled needs nobody's approval.
    CodeWithoutApproval,
    /// The administrator approves what waits, whatever digits the device shows.
    ApprovedUnseen,
    /// The digits are those of the device's key alone.
    DigitsOfKeyAlone,
    /// A client without a pin believes a service that says that nothing is missing.
    ActiveBelieved,
    /// The service does not sign its box.
    BoxUnsigned,
    /// A client that has a pin does not compare it.
    PinIgnored,
    /// A pairing does not use its invitation up.
    InvitationOutlivesUse,
    /// `finish` does not look again, in its commit, whether the invitation is open.
    FinishOutsideCommit,
    /// A revocation is acknowledged once it is written, not once it is durable.
    RevocationBeforeDurable,
    /// Whether a device is live is looked at when its request comes, not when the key is taken.
    LiveOutsideRead,
    /// A revocation leaves the user's sessions as they are.
    RevocationWithoutRotation,
    /// Who shows a token gets the key as it is.
    KeyUnwrapped,
    /// The next root follows from the one before and what was said.
    RekeyWithoutExchange,
    /// The service keeps the roots that it had.
    RekeyKeepsPredecessor,
    /// The next epoch takes the place of the one before when it is made, not when it is used.
    RekeyTakesEffectAtOnce,
    /// The first use of an epoch is answered before it is durable.
    UseBeforeDurable,
}
