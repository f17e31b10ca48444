//! An invitation, as whoever hands it on needs it. Shared by `server add`, `server invite` and `client invite`.

use serde_json::json;
use sidekey_client::admin::{self, CarrierAddress, Invitation, Invite, Invited};
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::{InvitationId, Role, ServerName, UserName};
use sidekey_protocol::pairing::Approval;

use crate::approve::Word;
use crate::exit::{Exit, Stop};
use crate::output::{Report, Screen};
use crate::profile;
use crate::qr;
use crate::remote::Admin;
use crate::time::{duration_s, rfc3339};

/// How long, and how shown.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// How long the invitation stays open, from 1m to 15m, to 7d where it is to be approved [default: what the policy says, else 15m]
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    ttl: Option<u32>,
    /// Whose word the pairing needs before it may act [default: what the policy says, else none]
    ///
    /// Needed where the code may be read on its way: sent by mail, say, instead of handed over or scanned.
    #[arg(long, value_enum, value_name = "WHOSE")]
    approval: Option<Word>,
    /// Draw the link as a QR code
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    qr: qr::When,
}

/// How an invitation is sent.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Posting {
    /// Have the invitation sent by this carrier, without its code, which you hand over in another way
    #[arg(long, value_name = "CARRIER", requires = "to")]
    deliver: Option<CarrierName>,
    /// Where to: a phone, as +491700000000. The address stays with the device, for that carrier
    #[arg(long, value_name = "ADDRESS", requires = "deliver")]
    to: Option<String>,
}

/// An invitation to be issued again.
#[derive(Clone, Debug, clap::Args)]
pub struct Again {
    /// As `client list --invitations` shows it
    invitation: InvitationId,
    /// How long the new one stays open [default: what the policy says, else 15m]
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    ttl: Option<u32>,
    /// Draw the link as a QR code
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    qr: qr::When,
    #[command(flatten)]
    admin: Admin,
}

impl Again {
    /// Issues it again; the code is shown here alone.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        let Self { invitation, ttl, qr, admin } = self;
        let work = async |service: &admin::Admin| {
            Ok((service.invitation(invitation).await?, service.reissue(invitation, ttl).await?))
        };
        let (old, invited) = admin.run(work).await.map_err(|stop| match stop.code() {
            "invitation_over" => {
                let what = "somebody has paired with this invitation: there is nothing to issue again";
                Stop::new(Exit::Conflict, "invitation_over", what)
                    .next("sidekey client invite, if another device is to be paired")
            }
            _ => stop,
        })?;
        let Invitation { role, server, user, .. } = old;
        let invite = Invite { role, server, user, ttl_s: ttl, approval: None };
        let did = "Issued the invitation again: the old code and link are dead.".to_owned();
        let options = Options { ttl, approval: None, qr };
        Ok(options.report(did, &invite, &invited, &admin, screen))
    }
}

impl Options {
    /// Invites a server, or a client when there is a user. `did` says what was done; the code is shown here alone.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn invite(
        self,
        did: String,
        server: &ServerName,
        user: Option<&UserName>,
        posting: Posting,
        admin: &Admin,
        screen: Screen,
    ) -> Result<Report, Stop> {
        let role = if user.is_some() { Role::Client } else { Role::Server };
        let invite = Invite {
            role,
            server: server.clone(),
            user: user.cloned(),
            ttl_s: self.ttl,
            approval: self.approval.map(Approval::from),
        };
        let Some((carrier, to)) = posting.deliver.zip(posting.to) else {
            let invited = admin.run(async |service| service.invite(&invite).await).await?;
            return Ok(self.report(did, &invite, &invited, admin, screen));
        };
        let did = format!("{did} {carrier} takes the link to {to}, without the code.");
        let address = CarrierAddress { carrier, to };
        let invited = admin.run(async |service| service.invite_by(&invite, &address).await).await?;
        Ok(self.report(did, &invite, &invited, admin, screen))
    }

    fn report(
        self,
        did: String,
        invite: &Invite,
        invited: &Invited,
        admin: &Admin,
        screen: Screen,
    ) -> Report {
        let (code, link) = (invited.code.expose_printed(), invited.link.expose());
        let draw = match self.qr {
            qr::When::Auto => screen.has_eyes(),
            qr::When::Always => true,
            qr::When::Never => false,
        };
        let json = json!({
            "invitation": invited.invitation,
            "code": *code,
            "link": *link,
            "role": invite.role,
            "server": invite.server,
            "user": invite.user,
            "expires": invited.expires,
            "approval": invited.approval,
        });
        let suggested = invite.user.as_ref().map_or(invite.server.as_str(), UserName::as_str);
        let mut facts = vec![
            ("invitation", invited.invitation.to_string()),
            ("code", code.to_string()),
            ("link", link.to_string()),
            ("expires", rfc3339(invited.expires)),
        ];
        if invited.approval.is_needed() {
            facts.push(("to be approved by", approvers(invited.approval).to_owned()));
        }
        Report::new(did, json).facts(facts).picture(draw.then(|| qr::draw(&link)).flatten()).next(format!(
            "on the machine to pair, run this and paste the link: sidekey join{}{}",
            admin.ca_option(),
            profile::option_like(suggested)
        ))
    }
}

fn approvers(approval: Approval) -> &'static str {
    match approval {
        Approval::Device => "an administrator, or another of the user's devices",
        _ => "an administrator",
    }
}
