//! `sidekey client`: users' devices.

mod seen;

use clap::Subcommand;
use sidekey_client::admin::{InvitationFilter, PairingFilter, Standing};
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::{PartyId, Role, ServerName, UserName};
use sidekey_protocol::pairing::PartyLabel;
use sidekey_protocol::revocation::Target;

use self::seen::{invitations, pairings, show};
pub(crate) use self::seen::{pairing_facts, pairing_rows};
use crate::approve::{Approving, Device, Refusing};
use crate::exit::{Exit, Stop};
use crate::invitation::{Again, Options, Posting};
use crate::output::{Report, Screen, shell};
use crate::remote::Admin;
use crate::revoke::Reasoned;
use crate::server;
use crate::since::Since;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Client {
    /// Invite one of a user's devices to pair
    ///
    /// Prints a pairing code, a link and a QR code, once. Hand them over in person, or let the device scan the
    /// code; never send them by e-mail to the mailbox that is being paired. A link is good for one device.
    #[command(after_help = INVITE_EXAMPLES)]
    Invite {
        /// The user, as the mail server names them
        user: UserName,
        /// Whose mail the device is to read [default: the only mail server there is]
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        posting: Posting,
        #[command(flatten)]
        admin: Admin,
    },
    /// Set the address at which a carrier reaches a device, or take it away
    ///
    /// You alone set addresses, never a device. Keys go there when a mail server names the carrier.
    #[command(after_help = ADDRESS_EXAMPLES)]
    Address {
        /// The device's pairing, as `client list` shows it
        pairing: PartyId,
        /// The carrier, as the configuration calls it
        #[arg(long, value_name = "NAME")]
        carrier: CarrierName,
        /// A phone, as +491700000000, or an XCAP user identifier, as sip:ann@example.org
        #[arg(long, value_name = "ADDRESS", required_unless_present = "clear", conflicts_with = "clear")]
        to: Option<String>,
        /// Take the address away
        #[arg(long)]
        clear: bool,
        #[command(flatten)]
        admin: Admin,
    },
    /// Issue an invitation again, with another code: the old one is dead
    ///
    /// For one that was lost, mistyped five times, or read by somebody. Also for a mail server's.
    #[command(after_help = REISSUE_EXAMPLES)]
    Reissue(Again),
    /// List paired devices, or invitations to pair one
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Of this user only
        #[arg(long)]
        user: Option<UserName>,
        /// At this mail server only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// In this state only
        #[arg(long, value_enum, conflicts_with = "invitations")]
        state: Option<State>,
        /// List invitations instead
        #[arg(long)]
        invitations: bool,
        #[command(flatten)]
        since: Since,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show one device
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The device's pairing, as `client list` shows it
        pairing: PartyId,
        #[command(flatten)]
        admin: Admin,
    },
    /// Approve a device that waits, with the digits that its user reads to you
    ///
    /// The service compares them with what the device shows. Other digits approve nothing, and may mean that somebody else
    /// has used the code: five wrong ones refuse the device. Where the invitation lets the user's devices approve, --profile
    /// names the one that does.
    #[command(after_help = APPROVE_EXAMPLES)]
    Approve {
        #[command(flatten)]
        device: Device,
        #[command(flatten)]
        approving: Approving,
    },
    /// Refuse a device that waits to be approved, for good
    #[command(after_help = REFUSE_EXAMPLES)]
    Refuse {
        #[command(flatten)]
        device: Device,
        #[command(flatten)]
        refusing: Refusing,
    },
    /// Revoke one device, or all of a user's
    ///
    /// It never comes back: to use the device again, invite and pair it again. The user's other devices go on, with
    /// rotated keys.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke {
        /// The device's pairing, as `client list` shows it
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        pairing: Option<PartyId>,
        /// All devices of this user, unless a label says which
        #[arg(long)]
        user: Option<UserName>,
        /// The mail server that names the user [default: the only one there is]
        #[arg(long, value_name = "NAME", requires = "user")]
        server: Option<ServerName>,
        /// The user's one device of this label
        #[arg(long, value_name = "TEXT", requires = "user")]
        label: Option<PartyLabel>,
        #[command(flatten)]
        act: Reasoned,
    },
}

impl Client {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::Address { pairing, carrier, to, admin, .. } => {
                address(pairing, &carrier, to.as_deref(), &admin).await
            }
            Self::Invite { user, server, options, posting, admin } => {
                let did = format!("Invited a device of {user}.");
                let server = server::meant(server, &admin).await?;
                options.invite(did, &server, Some(&user), posting, &admin, screen).await
            }
            Self::List { user, server, invitations: true, since, admin, .. } => {
                let (role, created_after) = (Some(Role::Client), since.after());
                invitations(&InvitationFilter { user, server, role, state: None, created_after }, &admin)
                    .await
            }
            Self::List { user, server, state, since, admin, .. } => {
                let (role, state) = (Some(Role::Client), state.map(Standing::from));
                let created_after = since.after();
                pairings(&PairingFilter { role, user, server, state, created_after }, &admin).await
            }
            Self::Reissue(again) => again.run(screen).await,
            Self::Approve { device, approving } => approving.run(device.into(), screen).await,
            Self::Refuse { device, refusing } => refusing.run(device.into()).await,
            Self::Show { pairing, admin } => show(pairing, &admin).await,
            Self::Revoke { pairing, user, server, label, act } => {
                let target = match (pairing, user) {
                    (Some(pairing), _) => Target::Pairing { pairing },
                    (None, Some(user)) => {
                        let server = server::meant(server, act.admin()).await?;
                        match label {
                            None => Target::User { server, user },
                            Some(label) => Target::Pairing {
                                pairing: labelled(&label, user, server, act.admin()).await?,
                            },
                        }
                    }
                    (None, None) => unreachable!("clap requires a pairing or a user"),
                };
                act.run(&target, screen).await
            }
        }
    }
}

/// Whether a device may still do anything.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum State {
    /// It may
    Active,
    /// Not yet: it waits to be approved
    Confirmed,
    /// Nothing any more: nobody used it for 90 days, or approved it within 7
    Lapsed,
    /// Nothing: it was refused
    Refused,
    /// Nothing, ever again
    Revoked,
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Confirmed => Self::Confirmed,
            State::Lapsed => Self::Lapsed,
            State::Refused => Self::Refused,
            State::Revoked => Self::Revoked,
        }
    }
}

/// The one live device of a user that calls itself so.
async fn labelled(
    label: &PartyLabel,
    user: UserName,
    server: ServerName,
    admin: &Admin,
) -> Result<PartyId, Stop> {
    let list =
        format!("sidekey client list --user {} --server {}", shell(user.as_str()), shell(server.as_str()));
    let wanted = PairingFilter {
        role: Some(Role::Client),
        user: Some(user),
        server: Some(server),
        state: Some(Standing::Active),
        ..PairingFilter::default()
    };
    let mut found = admin.run(async |service| service.pairings(&wanted).await).await?;
    found.retain(|pairing| pairing.label == *label);
    match found.as_slice() {
        [one] => Ok(one.pairing),
        [] => Err(Stop::new(Exit::NotFound, "not_found", format!("no active device is labelled {label:?}"))
            .next(list)),
        several => {
            let what =
                format!("{} active devices are labelled {label:?}: name one by its pairing", several.len());
            Err(Stop::new(Exit::Conflict, "label_ambiguous", what).next(list))
        }
    }
}

async fn address(
    pairing: PartyId,
    carrier: &CarrierName,
    to: Option<&str>,
    admin: &Admin,
) -> Result<Report, Stop> {
    let seen = admin.run(async |service| service.set_address(pairing, carrier, to).await).await?;
    let json = serde_json::to_value(&seen).expect("a pairing is representable as JSON");
    let did = match to {
        Some(to) => format!("{carrier} reaches the device at {to}."),
        None => format!("{carrier} reaches the device no more at an address of its own."),
    };
    Ok(Report::new(did, json).facts(pairing_facts(&seen)))
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey client invite ann@example.org --server mail.example.org
  sidekey client list --user ann@example.org
  sidekey client revoke 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\"";
const INVITE_EXAMPLES: &str = "\
Examples:
  sidekey client invite ann@example.org --server mail.example.org
  sidekey client invite ann@example.org --server mail.example.org --ttl 5m --qr never
  sidekey client invite ann@example.org --server mail.example.org --approval admin --ttl 3d
  sidekey client invite ann@example.org --server mail.example.org --deliver sms --to +491700000000";
const ADDRESS_EXAMPLES: &str = "\
Examples:
  sidekey client address 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --carrier sms --to +491700000000
  sidekey client address 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --carrier sms --clear";
const REISSUE_EXAMPLES: &str = "\
Examples:
  sidekey client reissue 0f0e0d0c0b0a09080706050403020100";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey client list
  sidekey client list --user ann@example.org --state active
  sidekey client list --state confirmed
  sidekey client list --invitations --since 1d -o json";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey client show 5b0f3c2a9d8e4f718293a4b5c6d7e8f9";
const APPROVE_EXAMPLES: &str = "\
Examples:
  sidekey client approve --user ann@example.org --server mail.example.org
  sidekey client approve 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --digits \"1234 5678 9012 3456\"
  sidekey client approve --user ann@example.org --server mail.example.org --profile phone";
const REFUSE_EXAMPLES: &str = "\
Examples:
  sidekey client refuse 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"not Ann's\"";
const REVOKE_EXAMPLES: &str = "\
Examples:
  sidekey client revoke 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\" --dry-run
  sidekey client revoke 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\"
  sidekey client revoke --user ann@example.org --server mail.example.org --label phone --reason lost
  sidekey client revoke --user ann@example.org --server mail.example.org --reason \"left us\" --yes";
