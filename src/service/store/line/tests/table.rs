//! What every kind of record says.

use sidekey_protocol::delivery::{Dead, Fate, Outcome};
use sidekey_protocol::encoding::{Bytes, Octets};
use sidekey_protocol::ids::{Role, ServiceId, Timestamp};
use sidekey_protocol::pairing::Approval;
use sidekey_protocol::pairing::wire::RekeyAnswer;
use sidekey_protocol::policy::setting::Setting;
use sidekey_protocol::revocation::{SealedHead, Target};

use super::{
    CREDENTIAL, INVITATION, PAIRING, SECRET, SESSION, opened, revoked, sealed, settled, told, turn, whom,
};
use crate::store::record::{
    Change, Confirmed, CredentialIssued, KeyRotated, Pruned, Record, Rekeyed, RestoreAccepted, Secret, Whom,
    Word,
};

/// One record of every kind, whom it concerns, and what is said of it after `{"seq":7,`.
#[expect(clippy::too_many_lines, reason = "a table: a row for each kind of record")]
pub(super) fn table() -> Vec<(Record, Vec<Whom>, &'static [&'static str])> {
    let (ann, gateway) = (whom(Some("ann"), Some(PAIRING)), whom(None, Some(PAIRING)));
    let session = Whom { role: None, ..whom(Some("ann"), None) };
    let answer = RekeyAnswer {
        to: 2,
        point: Bytes(vec![SECRET; 65]),
        kem_ct: Bytes(vec![SECRET; 1088]),
        not_after: Timestamp(9000),
        confirm: Octets([SECRET; 32]),
    };
    vec![
        (
            Record::Created {
                service: ServiceId::from_bytes([1; 16]),
                public_url: "https://keys.example.org".into(),
                key: sealed(),
                key_public: Box::new(Octets([SECRET; 91])),
                admin: PAIRING,
                admin_key: Octets([SECRET; 91]),
                label: "admin".into(),
            },
            vec![],
            &[
                r#""action":"service_created","service":"01010101010101010101010101010101","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","label":"admin"}"#,
            ],
        ),
        (
            Record::ServerAdded { server: "mail".parse().unwrap() },
            vec![],
            &[r#""action":"server_added","server":"mail"}"#],
        ),
        (
            Record::Invited {
                invitation: INVITATION,
                role: Role::Client,
                server: "mail".parse().unwrap(),
                user: Some("ann".parse().unwrap()),
                expires: Timestamp(1900),
                verifier: sealed(),
                approval: Approval::Admin,
                deliver: None,
            },
            vec![],
            &[
                r#""action":"invitation_created","server":"mail","user":"ann","role":"client","invitation":"11111111111111111111111111111111","not_after":1900}"#,
            ],
        ),
        (
            Record::AttemptSpent { invitation: INVITATION },
            vec![whom(Some("ann"), None)],
            &[
                r#""action":"invitation_attempt_spent","server":"mail","user":"ann","role":"client","invitation":"11111111111111111111111111111111"}"#,
            ],
        ),
        (
            Record::InvitationSpent { invitation: INVITATION },
            vec![whom(Some("ann"), None)],
            &[
                r#""action":"invitation_attempt_spent","server":"mail","user":"ann","role":"client","invitation":"11111111111111111111111111111111"}"#,
                r#""action":"invitation_spent","server":"mail","user":"ann","role":"client","invitation":"11111111111111111111111111111111"}"#,
            ],
        ),
        (
            Record::Confirmed(Box::new(Confirmed {
                invitation: INVITATION,
                pairing: PAIRING,
                key: Octets([SECRET; 91]),
                label: "Ann's phone".into(),
                offer: None,
                pinned: true,
                root: sealed(),
                kek: Octets([SECRET; 8]),
                epoch_not_after: Timestamp(9000),
                finish: Octets([SECRET; 32]),
                answer: vec![SECRET; 40].into(),
                th: Octets([SECRET; 32]),
            })),
            vec![whom(Some("ann"), None)],
            &[
                r#""action":"pairing_confirmed","server":"mail","user":"ann","role":"client","invitation":"11111111111111111111111111111111","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","label":"Ann's phone","pinned":true,"epoch":0,"not_after":9000}"#,
            ],
        ),
        (
            Record::Used { pairing: PAIRING },
            vec![gateway],
            &[
                r#""action":"pairing_used","server":"mail","role":"server","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            ],
        ),
        (
            Record::Opened(Box::new(opened(None))),
            vec![],
            &[
                r#""action":"session_opened","server":"mail","user":"ann","session":"55555555555555555555555555555555","suite":"A256GCM","not_after":4600}"#,
            ],
        ),
        (
            Record::Rotated { session: SESSION },
            vec![session.clone()],
            &[
                r#""action":"session_rotated","server":"mail","user":"ann","session":"55555555555555555555555555555555"}"#,
            ],
        ),
        (
            Record::Ended { session: SESSION },
            vec![session.clone()],
            &[
                r#""action":"session_ended","server":"mail","user":"ann","session":"55555555555555555555555555555555"}"#,
            ],
        ),
        (
            revoked(Target::Pairing { pairing: PAIRING }),
            vec![ann.clone()],
            &[
                r#""action":"pairing_revoked","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","reason":"lost"}"#,
            ],
        ),
        // An administrator's is of no server.
        (
            revoked(Target::Pairing { pairing: PAIRING }),
            vec![],
            &[r#""action":"pairing_revoked","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","reason":"lost"}"#],
        ),
        (
            revoked(Target::User { server: "mail".parse().unwrap(), user: "ann".parse().unwrap() }),
            vec![],
            &[r#""action":"user_revoked","server":"mail","user":"ann","reason":"lost"}"#],
        ),
        (
            revoked(Target::Server { server: "mail".parse().unwrap() }),
            vec![],
            &[r#""action":"server_revoked","server":"mail","reason":"lost"}"#],
        ),
        (
            Record::CredentialIssued(Box::new(CredentialIssued {
                credential: CREDENTIAL,
                server: "mail".parse().unwrap(),
                user: "ann".parse().unwrap(),
                label: "push".parse().unwrap(),
                digest: postcard::from_bytes(&[&[32][..], &[SECRET; 32]].concat()).unwrap(),
                expires: Some(Timestamp(1900)),
            })),
            vec![],
            &[
                r#""action":"credential_issued","server":"mail","user":"ann","credential":"22222222222222222222222222222222","label":"push","not_after":1900}"#,
            ],
        ),
        (
            revoked(Target::Credential { credential: CREDENTIAL }),
            vec![session.clone()],
            &[
                r#""action":"credential_revoked","server":"mail","user":"ann","credential":"22222222222222222222222222222222","reason":"lost"}"#,
            ],
        ),
        (
            revoked(Target::Session { session: SESSION }),
            vec![session],
            &[
                r#""action":"session_revoked","server":"mail","user":"ann","session":"55555555555555555555555555555555","reason":"lost"}"#,
            ],
        ),
        (
            revoked(Target::Invitation { invitation: INVITATION }),
            vec![whom(None, None)],
            &[
                r#""action":"invitation_revoked","server":"mail","role":"server","invitation":"11111111111111111111111111111111","reason":"lost"}"#,
            ],
        ),
        (
            Record::Resealed { secrets: vec![(Secret::Pairing(PAIRING, 0), sealed())] },
            vec![],
            &[r#""action":"secrets_resealed","count":1}"#],
        ),
        (
            Record::Rekeyed(Box::new(Rekeyed {
                pairing: PAIRING,
                epoch: 2,
                root: sealed(),
                kek: Octets([SECRET; 8]),
                request: Octets([SECRET; 32]),
                answer,
            })),
            vec![ann.clone()],
            &[
                r#""action":"pairing_rekeyed","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","epoch":2,"not_after":9000}"#,
            ],
        ),
        (
            Record::EpochUsed { pairing: PAIRING, epoch: 2 },
            vec![ann.clone()],
            &[
                r#""action":"pairing_epoch_used","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","epoch":2}"#,
            ],
        ),
        (
            Record::FinishConflict { pairing: PAIRING },
            vec![ann.clone()],
            &[
                r#""action":"pairing_finish_conflict","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            ],
        ),
        (
            Record::Approval { pairing: PAIRING, word: Word::Approved },
            vec![ann.clone()],
            &[
                r#""action":"pairing_approved","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            ],
        ),
        (
            Record::Approval { pairing: PAIRING, word: Word::Mistaken },
            vec![ann.clone()],
            &[
                r#""action":"pairing_digits_mistaken","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            ],
        ),
        (
            Record::Approval {
                pairing: PAIRING,
                word: Word::Refused { reason: Some("not hers".parse().unwrap()) },
            },
            vec![ann.clone()],
            &[
                r#""action":"pairing_refused","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","reason":"not hers"}"#,
            ],
        ),
        (
            Record::Approval { pairing: PAIRING, word: Word::Matched },
            vec![ann.clone()],
            &[
                r#""action":"pairing_matched","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            ],
        ),
        (
            Record::Lapsed { pairings: vec![PAIRING, PAIRING] },
            vec![ann.clone(), whom(Some("bob"), Some(PAIRING))],
            &[
                r#""action":"pairing_lapsed","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
                r#""action":"pairing_lapsed","server":"mail","user":"bob","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            ],
        ),
        (
            Record::PolicySet {
                server: Some("mail".parse().unwrap()),
                user: None,
                setting: Box::new(Setting::default()),
            },
            vec![],
            &[r#""action":"policy_set","server":"mail"}"#],
        ),
        (
            Record::PolicySet {
                server: Some("mail".parse().unwrap()),
                user: Some("ann".parse().unwrap()),
                setting: Box::new(Setting::default()),
            },
            vec![],
            &[r#""action":"policy_set","server":"mail","user":"ann"}"#],
        ),
        (Record::ClockAccepted { behind_s: 3600 }, vec![], &[r#""action":"clock_accepted","count":3600}"#]),
        (
            Record::HeadShown {
                head: SealedHead::from_bytes([0, 0, 0, 0, 0, 0, 0, 7].repeat(4).try_into().unwrap()),
                by: None,
            },
            vec![],
            &[r#""action":"rollback_found","count":7}"#],
        ),
        (
            Record::RevocationsReported(vec![told(Target::Pairing { pairing: PAIRING })]),
            vec![ann.clone()],
            &[
                r#""action":"revocation_reported","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","reason":"lost"}"#,
            ],
        ),
        (
            Record::RestoreAccepted(Box::new(RestoreAccepted {
                revocations: 8,
                reapplied: vec![told(Target::Pairing { pairing: PAIRING })],
                revoke_all_but: Some(vec![PAIRING, PAIRING]),
            })),
            vec![ann.clone()],
            &[
                r#""action":"restore_accepted","count":8}"#,
                r#""action":"pairing_revoked","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","reason":"lost"}"#,
                r#""action":"all_revoked","count":2}"#,
            ],
        ),
        (
            Record::KeyRotated(Box::new(KeyRotated {
                number: 1,
                public: Octets([1; 91]),
                key: sealed(),
                until: Timestamp(9000),
                statement: "a statement".into(),
            })),
            vec![],
            &[r#""action":"signing_key_rotated","epoch":1,"kid":"YU6CUGOQpCCNTKa2afJPBA","not_after":9000}"#],
        ),
        (
            Record::Addressed {
                pairing: PAIRING,
                carrier: "sms".parse().unwrap(),
                to: Some("+491700000000".into()),
            },
            vec![ann.clone()],
            &[
                r#""action":"address_set","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","carrier":"sms"}"#,
            ],
        ),
        (
            Record::Addressed { pairing: PAIRING, carrier: "sms".parse().unwrap(), to: None },
            vec![ann.clone()],
            &[
                r#""action":"address_cleared","server":"mail","user":"ann","role":"client","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","carrier":"sms"}"#,
            ],
        ),
        (
            Record::Deliveries {
                turns: vec![
                    turn(Change::Claimed {
                        until: Timestamp(1060),
                        to: "+491700000000".into(),
                        counted: vec![],
                    }),
                    turn(settled(Outcome::Sent { receipts: vec!["42".into()] })),
                    turn(settled(Outcome::PutOff { at: Timestamp(1070), trouble: "busy".into() })),
                    turn(settled(Outcome::GivenUp { why: Dead::Refused, detail: None })),
                    turn(Change::Reported { fate: Fate::Delivered }),
                    turn(Change::Retried),
                    turn(Change::Cancelled),
                ],
            },
            vec![Whom { role: None, ..whom(Some("ann"), None) }; 7],
            &[
                r#""action":"delivery_tried","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
                r#""action":"delivery_sent","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
                r#""action":"delivery_put_off","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
                r#""action":"delivery_given_up","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
                r#""action":"delivery_reported","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
                r#""action":"delivery_retried","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
                r#""action":"delivery_cancelled","server":"mail","user":"ann","carrier":"sms","delivery":9}"#,
            ],
        ),
        (
            Record::Pruned(Box::new(Pruned {
                service: ServiceId::from_bytes([1; 16]),
                keys: vec![Octets([1; 91])],
                records: 499,
                first: 500,
                previous: Octets([2; 32]),
            })),
            vec![],
            &[
                r#""action":"log_pruned","service":"01010101010101010101010101010101","count":499,"first":500,"previous":"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"}"#,
            ],
        ),
        (
            Record::BatchOpened(vec![opened(None), opened(Some(PAIRING))]),
            vec![],
            &[
                r#""action":"session_opened","server":"mail","user":"ann","session":"55555555555555555555555555555555","suite":"A256GCM","not_after":4600}"#,
                r#""action":"session_opened","server":"mail","user":"ann","pairing":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","session":"55555555555555555555555555555555","suite":"A256GCM","not_after":4600}"#,
            ],
        ),
    ]
}
