//! What a pairing leaves behind on its device.

use std::fmt;
use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sidekey_protocol::crypto::{Secret, SigningKey, VerifyingKey};
use sidekey_protocol::encoding::{Bytes, base64url, from_base64url};
use sidekey_protocol::ids::{PartyId, Role, ServerName, ServiceId, Timestamp, UserName};
use sidekey_protocol::keys::{Previous, ServiceKeys};
use sidekey_protocol::pairing::PublicUrl;
use sidekey_protocol::pairing::rekey::Epoch;
use sidekey_protocol::policy::SeenPolicy;
use sidekey_protocol::revocation::Seen;
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::session::{Capabilities, SuiteList};
use zeroize::Zeroizing;

use crate::approval::KeptWaiting;
use crate::transport::Roots;

/// Everything that one pairing needs to go on after a restart. Holds secrets: prints its pairing's id alone.
pub struct Profile {
    /// Where the service is: under this address the pairing was made.
    pub url: PublicUrl,
    /// Other addresses of the same service, asked when that one does not answer.
    pub other_urls: Vec<PublicUrl>,
    /// Whose certificates count there.
    pub roots: Roots,
    /// The service's id.
    pub service: ServiceId,
    /// The service's signing keys: policies are checked against them.
    pub service_keys: ServiceKeys,
    /// This pairing's id.
    pub pairing: PartyId,
    /// What the pairing is for.
    pub role: Role,
    /// The mail server that it belongs to.
    pub server: ServerName,
    /// The user that it belongs to; a server's pairing has none.
    pub user: Option<UserName>,
    /// What this device called itself.
    pub label: String,
    /// Whether the service's key was compared with a pin.
    pub pinned: bool,
    /// This pairing's signing key.
    pub signing_key: SigningKey,
    /// `root_e`: what the service wraps keys for this pairing under derives from it.
    pub root: Secret<32>,
    /// The e of `root_e`.
    pub epoch: u32,
    /// When `root_e` ends.
    pub not_after: Timestamp,
    /// The epoch after it, from when it is agreed on until the service has answered under it.
    pub next: Option<Epoch>,
    /// The suites that this device offered, best first.
    pub offer: SuiteList,
    /// The newest policy: a client's only.
    pub policy: Option<KeptPolicy>,
    /// What it waits for, until it is known to be active.
    pub waiting: Option<KeptWaiting>,
    /// The highest head of the service's revocations that this device was shown.
    pub head: Seen,
    /// The latest revocations that this device was told of: should the service lose them, it is told.
    pub revocations: Vec<Revoked>,
    /// The last list of capabilities that a client's server was heard to name.
    pub capabilities: Option<Capabilities>,
}

/// A policy as it was signed, and what it must never be older than.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptPolicy {
    /// The JWS.
    pub jws: String,
    /// Its version and hash.
    pub seen: SeenPolicy,
}

impl Profile {
    /// The profile as JSON, secrets in the clear: for a [`KeyStore`](crate::KeyStore), which alone may see it.
    ///
    /// # Panics
    /// Never: every member is representable as JSON.
    #[must_use]
    pub fn expose_json(&self) -> Zeroizing<Vec<u8>> {
        // Large enough from the start: a buffer that grows leaves copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(SIZE_MAX));
        serde_json::to_writer_pretty(&mut *json, &File::from(self))
            .expect("profiles are representable as JSON");
        json.push(b'\n');
        json
    }

    /// Reads what [`Profile::expose_json`] wrote.
    ///
    /// # Errors
    /// `InvalidData`.
    pub fn from_json(json: &[u8]) -> io::Result<Self> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not a profile");
        if json.len() > SIZE_MAX {
            return Err(malformed());
        }
        let file: File = serde_json::from_slice(json).map_err(|_| malformed())?;
        file.try_into().map_err(|Malformed| malformed())
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.pairing)
    }
}

struct Malformed;

/// The profile's one encoding.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    url: PublicUrl,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other_urls: Vec<PublicUrl>,
    /// Absent: what the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    service: ServiceId,
    service_key: Bytes,
    /// Once the service has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service_key_number: Option<u32>,
    /// Those that it took over from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous_service_keys: Vec<PreviousKey>,
    pairing: PartyId,
    role: Role,
    server: ServerName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserName>,
    label: String,
    pinned: bool,
    signing_key: Hidden,
    root: Hidden,
    epoch: u32,
    not_after: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    offer: SuiteList,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<KeptPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<KeptWaiting>,
    #[serde(default)]
    head: Seen,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revocations: Vec<Revoked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
}

/// A signing key of the service that was replaced.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PreviousKey {
    key: Bytes,
    until: Timestamp,
}

/// The next epoch's root, and when it ends.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Next {
    root: Hidden,
    not_after: Timestamp,
}

impl From<&Profile> for File {
    fn from(profile: &Profile) -> Self {
        let ca = match &profile.roots {
            Roots::Native => None,
            Roots::Pem(pem) => Some(pem.clone()),
        };
        Self {
            version: VERSION,
            url: profile.url.clone(),
            other_urls: profile.other_urls.clone(),
            ca,
            service: profile.service,
            service_key: Bytes(profile.service_keys.key().spki().to_vec()),
            service_key_number: profile.service_keys.number(),
            previous_service_keys: profile.service_keys.previous().iter().map(PreviousKey::from).collect(),
            pairing: profile.pairing,
            role: profile.role,
            server: profile.server.clone(),
            user: profile.user.clone(),
            label: profile.label.clone(),
            pinned: profile.pinned,
            signing_key: Hidden(profile.signing_key.expose_pkcs8()),
            root: Hidden(Zeroizing::new(profile.root.expose().to_vec())),
            epoch: profile.epoch,
            not_after: profile.not_after,
            next: profile.next.as_ref().map(|next| Next {
                root: Hidden(Zeroizing::new(next.root.expose().to_vec())),
                not_after: next.not_after,
            }),
            offer: profile.offer.clone(),
            policy: profile.policy.clone(),
            waiting: profile.waiting,
            head: profile.head,
            revocations: profile.revocations.clone(),
            capabilities: profile.capabilities.clone(),
        }
    }
}

impl TryFrom<File> for Profile {
    type Error = Malformed;

    fn try_from(file: File) -> Result<Self, Malformed> {
        if file.version != VERSION || (file.role == Role::Client) != file.user.is_some() {
            return Err(Malformed);
        }
        Ok(Self {
            url: file.url,
            other_urls: file.other_urls,
            roots: file.ca.map_or(Roots::Native, Roots::Pem),
            service: file.service,
            service_keys: service_keys(
                &file.service_key,
                file.service_key_number,
                &file.previous_service_keys,
            )?,
            pairing: file.pairing,
            role: file.role,
            server: file.server,
            user: file.user,
            label: file.label,
            pinned: file.pinned,
            signing_key: SigningKey::from_pkcs8(&file.signing_key.0).map_err(|_| Malformed)?,
            root: Secret::copy_of(&file.root.0).ok_or(Malformed)?,
            epoch: file.epoch,
            not_after: file.not_after,
            next: file.next.map(|next| next.after(file.epoch)).transpose()?,
            offer: file.offer,
            policy: file.policy,
            waiting: file.waiting,
            head: file.head,
            revocations: file.revocations,
            capabilities: file.capabilities,
        })
    }
}

impl From<&Previous> for PreviousKey {
    fn from(previous: &Previous) -> Self {
        Self { key: Bytes(previous.key.spki().to_vec()), until: previous.until }
    }
}

fn service_keys(
    key: &Bytes,
    number: Option<u32>,
    previous: &[PreviousKey],
) -> Result<ServiceKeys, Malformed> {
    let key_of = |spki: &Bytes| VerifyingKey::from_spki(&spki.0).map_err(|_| Malformed);
    let previous =
        previous.iter().map(|PreviousKey { key, until }| Ok(Previous { key: key_of(key)?, until: *until }));
    Ok(ServiceKeys::kept(key_of(key)?, number, previous.collect::<Result<_, _>>()?))
}

impl Next {
    fn after(self, epoch: u32) -> Result<Epoch, Malformed> {
        let number = epoch.checked_add(1).ok_or(Malformed)?;
        let root = Secret::copy_of(&self.root.0).ok_or(Malformed)?;
        Ok(Epoch { number, root, not_after: self.not_after })
    }
}

/// Key material on its way into a key store or out of one: base64url, wiped.
pub(crate) struct Hidden(pub(crate) Zeroizing<Vec<u8>>);

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        from_base64url(&text).map(|bytes| Self(Zeroizing::new(bytes))).map_err(serde::de::Error::custom)
    }
}

const VERSION: u32 = 1;
/// Octets of the largest profile; a policy may take 16 KiB of them, revocations 96 KiB, pinned authorities the rest.
pub(crate) const SIZE_MAX: usize = 192 * 1024;

#[cfg(test)]
pub(crate) mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sidekey_protocol::revocation::Target;

    use super::*;
    use sidekey_protocol::pairing::Approval;

    pub(crate) fn profile(role: Role) -> Profile {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        Profile {
            url: "https://localhost:8443".parse().unwrap(),
            other_urls: vec!["https://localhost:8444/keys".parse().unwrap()],
            roots: Roots::Pem("-----BEGIN CERTIFICATE-----".to_owned()),
            service: ServiceId::random(&mut rng),
            service_keys: ServiceKeys::kept(
                SigningKey::generate(&mut rng).verifying_key(),
                Some(1),
                vec![Previous { key: SigningKey::generate(&mut rng).verifying_key(), until: Timestamp(9) }],
            ),
            pairing: PartyId::random(&mut rng),
            role,
            server: "mail.example.org".parse().unwrap(),
            user: (role == Role::Client).then(|| "ann@example.org".parse().unwrap()),
            label: "Ann's phone".to_owned(),
            pinned: true,
            signing_key: SigningKey::generate(&mut rng),
            root: Secret::random(&mut rng),
            epoch: 0,
            not_after: Timestamp(7),
            next: (role == Role::Server).then(|| Epoch {
                number: 1,
                root: Secret::random(&mut rng),
                not_after: Timestamp(8),
            }),
            offer: SuiteList::ours(),
            policy: Some(KeptPolicy {
                jws: "a.b.c".to_owned(),
                seen: SeenPolicy { version: 1, hash: [7; 32] },
            }),
            waiting: (role == Role::Server).then(|| KeptWaiting {
                digits: "0012 3456 7890 1234".parse().unwrap(),
                approval: Approval::Admin,
                matched: false,
            }),
            head: Seen::default(),
            revocations: vec![Revoked {
                target: Target::Server { server: "mail.example.org".parse().unwrap() },
                reason: "moved".parse().unwrap(),
                at: Timestamp(6),
            }],
            capabilities: Some(Capabilities::parse(&["A256GCM", "C20P"]).unwrap()),
        }
    }

    #[test]
    fn a_profile_reads_back() {
        for role in [Role::Client, Role::Server] {
            let kept = profile(role);
            let json = kept.expose_json();
            let read = Profile::from_json(&json).unwrap();
            assert_eq!(read.root.expose(), kept.root.expose());
            let next = |profile: &Profile| {
                profile.next.as_ref().map(|next| (next.number, *next.root.expose(), next.not_after))
            };
            assert_eq!(next(&read), next(&kept));
            assert_eq!(read.service_keys, kept.service_keys);
            assert_eq!(read.revocations, kept.revocations);
            assert_eq!(read.signing_key.verifying_key(), kept.signing_key.verifying_key());
            assert_eq!(read.expose_json(), json);
        }
    }

    #[test]
    fn a_profile_is_mute() {
        let kept = profile(Role::Client);
        assert_eq!(format!("{kept:?} {kept:#?}"), format!("Profile({0}) Profile({0})", kept.pairing));
    }

    #[test]
    fn a_profile_of_another_kind_is_refused() {
        let json = String::from_utf8(profile(Role::Client).expose_json().to_vec()).unwrap();
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"version\": 1", "\"version\": 1, \"more\": 1"),
            ("\"role\": \"client\"", "\"role\": \"server\""),
            ("\"root\": \"", "\"root\": \"AAAA"),
        ] {
            let other = json.replacen(from, to, 1);
            assert_ne!(other, json, "{from}");
            assert_eq!(
                Profile::from_json(other.as_bytes()).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{to}"
            );
        }
    }
}
