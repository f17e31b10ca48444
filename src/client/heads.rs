//! What this side was shown of the service's revocations: the highest head goes out with every request, so that a service
//! that was restored from an older copy finds out (proto/revocation/spec.md, sections 1 and 4).

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, Method};
use sidekey_protocol::ids::ServiceId;
use sidekey_protocol::revocation::restore::{REPORTED_MAX, Reported, Reports};
use sidekey_protocol::revocation::wire::{HEAD, Revoked};
use sidekey_protocol::revocation::{SealedHead, Seen, Shown};

use crate::blocking;
use crate::kept::Kept;
use crate::keystore::replace;
use crate::transport::Transport;

/// The heads of one service.
pub(crate) struct Heads {
    seen: Mutex<Seen>,
    keep: Keep,
    /// Whether the service has been told what we know since it last answered as it should.
    reported: AtomicBool,
}

/// Where the highest is kept.
enum Keep {
    /// A pairing's profile, and the revocations that it was told of.
    Profile(Kept),
    /// A file of its own, which says of which service it is.
    File(PathBuf, ServiceId),
    /// Nowhere but here.
    Nowhere,
}

impl Heads {
    /// Those of a pairing.
    pub(crate) fn of_profile(seen: Seen, kept: Kept) -> Arc<Self> {
        Self::new(seen, Keep::Profile(kept))
    }

    /// In memory alone.
    pub(crate) fn forgotten() -> Arc<Self> {
        Self::new(Seen::default(), Keep::Nowhere)
    }

    /// In the file at `path`; what is not of this service counts for nothing.
    pub(crate) fn in_file(path: &Path, service: ServiceId) -> Arc<Self> {
        let mut seen = Seen::default();
        let text = fs::read_to_string(path).unwrap_or_default();
        let head = text.trim_end().split_once(' ').filter(|(whose, _)| *whose == service.to_string());
        if let Some(head) = head.and_then(|(_, head)| head.parse().ok()) {
            seen.show(head);
        }
        Self::new(seen, Keep::File(path.to_owned(), service))
    }

    fn new(seen: Seen, keep: Keep) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::new(seen), keep, reported: AtomicBool::new(false) })
    }

    /// The header that goes out with every request, once there is anything to say.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let head = self.seen.lock().unwrap_or_else(PoisonError::into_inner).highest()?;
        Some(HeaderValue::try_from(head.to_string()).expect("base64url is visible ASCII"))
    }

    /// The highest count of revocations that was shown.
    pub(crate) fn n(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).n()
    }

    /// What an answer's header says. Answers overtake one another: a lower one means nothing.
    pub(crate) async fn learn(&self, headers: &HeaderMap) {
        let head = headers.get(HEAD).and_then(|head| head.to_str().ok()?.parse::<SealedHead>().ok());
        if let Some(head) = head
            && self.show(head).await == Shown::Forked
        {
            tracing::warn!(n = head.n(), "the service has another history of revocations than it had");
        }
    }

    /// Keeps the higher of two heads, and says how this one compares.
    pub(crate) async fn show(&self, head: SealedHead) -> Shown {
        let (shown, higher) = self.change(|seen| seen.show(head));
        if higher {
            self.save(move |seen| seen.show(head), Some(head)).await;
        }
        shown
    }

    /// The same for an n that came alone, on a bearer that may be late: that it is lower means nothing.
    pub(crate) async fn show_n(&self, n: u64) {
        if self.change(|seen| seen.show_n(n)).1 {
            self.save(move |seen| seen.show_n(n), None).await;
        }
    }

    fn change(&self, show: impl FnOnce(&mut Seen) -> Shown) -> (Shown, bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *seen;
        (show(&mut seen), *seen != before)
    }

    async fn save(&self, show: impl Fn(&mut Seen) -> Shown + Send + 'static, head: Option<SealedHead>) {
        let saved = match (&self.keep, head) {
            (Keep::Profile(kept), _) => {
                kept.update(move |profile| {
                    let before = profile.head;
                    show(&mut profile.head);
                    profile.head != before
                })
                .await
            }
            (Keep::File(path, service), Some(head)) => {
                let (path, text) = (path.clone(), format!("{service} {head}\n"));
                blocking(move || replace(&path, text.as_bytes())).await.map_err(Into::into)
            }
            _ => Ok(()),
        };
        if let Err(error) = saved {
            tracing::warn!(%error, "the head was not kept");
        }
    }

    /// Keeps a revocation that an event told of, for a service that may lose it.
    pub(crate) async fn told(&self, revoked: &Revoked) {
        let Keep::Profile(kept) = &self.keep else { return };
        let revoked = revoked.clone();
        let saved = kept.update(move |profile| {
            if profile.revocations.contains(&revoked) {
                return false;
            }
            if profile.revocations.len() == REPORTED_MAX {
                profile.revocations.remove(0);
            }
            profile.revocations.push(revoked.clone());
            true
        });
        if let Err(error) = saved.await {
            tracing::warn!(%error, "a revocation was not kept");
        }
    }

    /// The service answers as it should: should it lose anything again, it is told again.
    pub(crate) fn answered(&self) {
        self.reported.store(false, Ordering::Relaxed);
    }

    /// Tells a service that was rolled back, once, what this pairing was told of revocations.
    pub(crate) fn report<'a>(
        &'a self,
        transport: &'a Transport,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let Keep::Profile(kept) = &self.keep else { return };
            if self.reported.swap(true, Ordering::Relaxed) {
                return;
            }
            let kept = kept.clone();
            let revocations = blocking(move || kept.read(|profile| profile.revocations.clone())).await;
            if revocations.is_empty() {
                return;
            }
            let call = transport.call(Method::POST, "/v1/restore/reports").json(&Reports { revocations });
            match call.repeatable().send::<Reported>().await {
                Ok(Reported { taken }) => {
                    // Its answer is none to what was asked before.
                    self.reported.store(true, Ordering::Relaxed);
                    tracing::info!(taken, "reported what the service has lost");
                }
                Err(error) => {
                    tracing::warn!(%error, "what the service has lost was not reported");
                    self.reported.store(false, Ordering::Relaxed);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use sidekey_protocol::crypto::Secret;
    use sidekey_protocol::revocation::Head;

    use super::*;

    const SERVICE: ServiceId = ServiceId::from_bytes([1; 16]);

    fn head(n: u64) -> SealedHead {
        Head { n, r: [0; 32] }.sealed(&Secret::fill_with(|octets| octets.fill(1)))
    }

    fn answer(head: &str) -> HeaderMap {
        HeaderMap::from_iter([(HEAD.parse().unwrap(), HeaderValue::from_str(head).unwrap())])
    }

    #[tokio::test]
    async fn the_highest_head_is_kept_in_its_file_and_is_of_one_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.head");
        let heads = Heads::in_file(&path, SERVICE);
        assert_eq!(heads.header(), None);
        for (shown, highest) in [(head(2), 2), (head(1), 2), (head(3), 3)] {
            heads.learn(&answer(&shown.to_string())).await;
            assert_eq!(heads.header().unwrap(), head(highest).to_string());
        }
        heads.learn(&answer("no head")).await;
        assert_eq!(Heads::in_file(&path, SERVICE).header().unwrap(), head(3).to_string());
        assert_eq!(Heads::in_file(&path, ServiceId::from_bytes([2; 16])).header(), None);
        fs::write(&path, "what somebody wrote over it").unwrap();
        assert_eq!(Heads::in_file(&path, SERVICE).header(), None);
    }
}
