//! Session keys that wait on an XDMS: the user's document there, read by XCAP (RFC 4825), and what is believed of it
//! (`proto/delivery/spec.md`, section 5).
//!
//! An XDMS is a bearer that nobody trusts. It can hold a document back, give out an old one or another user's, and make one
//! up; what it cannot do is make a key that opens here. HTTPS is always open beside it.

mod document;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use digest_auth::{AlgorithmType, AuthContext, Qop, WwwAuthenticateHeader};
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use sidekey_protocol::session::envelope::{self, Reject};
use tokio::time::timeout;
use zeroize::Zeroizing;

#[cfg(feature = "fuzz")]
pub(crate) use self::document::envelopes;
use crate::ambient::Ambient;
use crate::error::{Error, Usage, XdmsTrouble};
use crate::party::{Asked, Party};
use crate::session::{Client, SessionKey};
use crate::transport::{HttpClient, Roots, http_client, is_untrusted};

/// A user's document on an XDMS, and who we are there. Cheap to keep: it holds its connection.
pub struct Xdms {
    http: HttpClient,
    document: Uri,
    credentials: Option<(String, Zeroizing<String>)>,
}

/// What a document brought.
#[derive(Debug, Default)]
pub struct Delivered {
    /// Keys that are kept now, as fetched ones are.
    pub keys: Vec<Arc<SessionKey>>,
    /// Why an envelope under a key of this pairing was refused: late or altered. Those for other devices are not looked at.
    pub refused: Vec<Error>,
}

impl Xdms {
    /// The document at this URL (`https`, percent-encoded, without user and fragment), where certificates from `roots`
    /// count. Sends nothing.
    ///
    /// # Errors
    /// [`Usage::Path`]: not such a URL. [`Usage::Authority`]: nothing usable to trust.
    pub fn new(url: &str, roots: &Roots) -> Result<Self, Error> {
        let document: Uri = url.parse().map_err(|_| Usage::Path)?;
        let host = document.authority().is_some_and(|host| !host.as_str().contains('@'));
        if document.scheme_str() != Some("https") || !host || url.contains('#') {
            return Err(Usage::Path.into());
        }
        Ok(Self { http: http_client(roots)?, document, credentials: None })
    }

    /// With a name and a password for where it asks with Digest (RFC 7616). Basic is never answered.
    #[must_use]
    pub fn signed_in(self, user: String, password: String) -> Self {
        Self { credentials: Some((user, Zeroizing::new(password))), ..self }
    }

    /// The document; `None`: there is none.
    async fn read(&self, ambient: &Ambient) -> Result<Option<Bytes>, XdmsTrouble> {
        let reading = async {
            let mut answer = self.ask(None).await?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                let signed = self.authorization(answer.headers(), ambient);
                answer = self.ask(Some(signed.ok_or(XdmsTrouble::Credentials)?)).await?;
            }
            match answer.status().as_u16() {
                200 => {}
                404 | 410 => return Ok(None),
                401 | 403 | 407 => return Err(XdmsTrouble::Credentials),
                300..=399 => return Err(XdmsTrouble::Redirect),
                status => return Err(XdmsTrouble::Status(status)),
            }
            let body = Limited::new(answer.into_body(), document::SIZE_MAX).collect().await;
            let body = body.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    XdmsTrouble::TooLarge
                } else {
                    XdmsTrouble::Unreachable
                }
            })?;
            Ok(Some(body.to_bytes()))
        };
        timeout(DEADLINE, reading).await.map_err(|_| XdmsTrouble::Unreachable)?
    }

    async fn ask(&self, authorization: Option<HeaderValue>) -> Result<Response<Incoming>, XdmsTrouble> {
        let mut request = Request::get(&self.document).header(ACCEPT, "application/*");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request: Request<Full<Bytes>> =
            request.body(Full::default()).expect("a URL and headers that were parsed");
        // Some close a connection after each answer without saying so: the next request finds out. A GET may be said twice.
        let answer = match self.http.request(request.clone()).await {
            Err(error) if !error.is_connect() => self.http.request(request).await,
            answer => answer,
        };
        answer.map_err(
            |error| {
                if is_untrusted(&error) { XdmsTrouble::Untrusted } else { XdmsTrouble::Unreachable }
            },
        )
    }

    /// The answer to the challenge that protects the password best.
    fn authorization(&self, headers: &HeaderMap, ambient: &Ambient) -> Option<HeaderValue> {
        let (user, password) = self.credentials.as_ref()?;
        let digest = |value: &HeaderValue| {
            let challenge = digest_auth::parse(value.to_str().ok()?).ok()?;
            let answerable = challenge.qop.as_ref().is_none_or(|offered| offered.contains(&Qop::AUTH));
            answerable.then_some(challenge)
        };
        let strength = |challenge: &WwwAuthenticateHeader| match challenge.algorithm.algo {
            AlgorithmType::MD5 => 0,
            AlgorithmType::SHA2_256 => 1,
            AlgorithmType::SHA2_512_256 => 2,
        };
        let asked = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(digest);
        let mut challenge = asked.max_by_key(strength)?;
        let path = self.document.path_and_query()?.as_str();
        let mut context = AuthContext::new(user, password.as_str(), path);
        let nonce = ambient.with_rng(|rng| {
            let mut octets = [0; 16];
            rng.fill_bytes(&mut octets);
            octets
        });
        context.set_custom_cnonce(nonce.map(|octet| format!("{octet:02x}")).concat());
        let mut value = HeaderValue::try_from(challenge.respond(&context).ok()?.to_header_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Xdms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xdms({})", self.document)
    }
}

impl Client {
    /// Reads the user's document on an XDMS, and keeps the keys in it that are for this pairing: see
    /// [`Client::accept_document`]. No document brings nothing.
    ///
    /// # Errors
    /// [`Error::Xdms`]: it cannot be had, or is none of ours. Ask over HTTPS ([`Client::current`]) instead.
    pub async fn fetch_xdms(&self, xdms: &Xdms) -> Result<Delivered, Error> {
        match xdms.read(self.0.transport.ambient()).await? {
            Some(document) => self.accept_document(&document).await,
            None => Ok(Delivered::default()),
        }
    }

    /// The same with a document that the app has fetched by itself. Goes online where the policy is not the one held, or
    /// where a key was sealed before a revocation that this device knows of.
    ///
    /// # Errors
    /// [`Error::Xdms`]: not such a document.
    pub async fn accept_document(&self, document: &[u8]) -> Result<Delivered, Error> {
        let mut delivered = Delivered::default();
        for envelope in document::envelopes(document)? {
            match self.0.accept_sealed(&envelope).await {
                Ok(key) => delivered.keys.push(key),
                Err(None) => {}
                Err(Some(error)) => {
                    tracing::warn!(pairing = %self.pairing(), %error, "refused, from an XDMS");
                    delivered.refused.push(error);
                }
            }
        }
        Ok(delivered)
    }
}

impl Party {
    /// Opens one of a document's envelopes. `Err(None)`: it is for another device.
    async fn accept_sealed(&self, jwe: &str) -> Result<Arc<SessionKey>, Option<Error>> {
        let asked = Asked::default();
        let (expected, now) = (self.expected(&asked), self.transport.now());
        let opened = match self.open_under(&[], |kek| envelope::open(kek, jwe, &expected, now)) {
            Err(Reject::KekForeign) => return Err(None),
            opened => opened.map_err(|reject| Some(reject.into()))?,
        };
        let (session, generation) = (opened.bindings.session, opened.bindings.generation);
        let n = opened.bindings.head.n();
        let agree = async || self.agreed(opened, &asked).await;
        self.delivered(session, generation, n, agree).await.map_err(Some)
    }
}

/// For everything together.
const DEADLINE: Duration = Duration::from_secs(10);
