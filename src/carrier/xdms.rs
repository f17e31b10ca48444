//! Documents in a user's tree on an XDMS, by XCAP (RFC 4825).
//!
//! The document is the enterprise's alone and is written whole. Each writing first asks for the entity tag of what is
//! there, then says `If-Match`, or `If-None-Match: *` where nothing is: what changed in between is seen, not overwritten
//! unseen. What is there is not read: whoever can write it could have written anything.

mod conflict;
mod digest;
mod document;
#[cfg(feature = "fuzz")]
pub mod fuzz;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;

use self::digest::Challenge;
use crate::ambient::Ambient;
use crate::outcome::{Receipt, ReceiptId, Refusal, Trouble, Undelivered};
use crate::web::{Answer, Client, Roots, Url, percent_encoded};
use crate::{Address, BadUrl, Carrier, Document, Malformed, Payload, Xui};

pub use self::digest::Credentials;
pub use self::document::{MEDIA_TYPE, NAMESPACE, written};

/// An XDMS, and our place in it.
#[derive(Debug)]
pub struct Settings {
    /// The XCAP root.
    pub root: Url,
    /// The application usage's id, as `org.example.keys`.
    pub auid: String,
    /// The document's name in a user's tree.
    pub document: String,
    /// The document's media type there.
    pub media_type: String,
    /// How a phone's user is called there, `{number}` being the number with its plus sign: `sip:{number}@example.com`,
    /// `tel:{number}`. `None`: phones are no addresses there.
    pub xui: Option<String>,
    /// Who we are there, where it asks with Digest.
    pub credentials: Option<Credentials>,
    /// The header that says on whose behalf we write, where a proxy vouches for us: `X-3GPP-Asserted-Identity`,
    /// `X-XCAP-Asserted-Identity`.
    pub asserted_identity: Option<String>,
    /// Whose certificates count.
    pub roots: Roots,
    /// How long one request may take.
    pub deadline: Duration,
}

/// What is wrong with settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misconfigured {
    /// Not a header.
    #[error("no header may be called so")]
    Header,
    /// Not a media type.
    #[error("not a media type")]
    MediaType,
    /// Neither is one segment of a path.
    #[error("auid and document are each one segment of a path")]
    Segment,
    /// Nothing to trust.
    #[error("{0}")]
    Url(#[from] BadUrl),
    /// Every user would be the same, or none would be any.
    #[error("the user's name there has {{number}} in it and is an XCAP user identifier")]
    Xui,
}

/// A carrier to an XDMS.
pub struct Xdms {
    client: Client,
    root: Url,
    auid: String,
    document: String,
    media_type: HeaderValue,
    xui: Option<String>,
    credentials: Option<Credentials>,
    asserted_identity: Option<HeaderName>,
    challenge: Mutex<Option<Challenge>>,
    ambient: Ambient,
}

impl Xdms {
    /// A carrier to the XDMS that these settings describe.
    ///
    /// # Errors
    /// [`Misconfigured`].
    pub fn new(settings: Settings, ambient: Ambient) -> Result<Self, Misconfigured> {
        let segment = |text: &str| text.parse::<Xui>().is_ok();
        if !segment(&settings.auid) || !segment(&settings.document) {
            return Err(Misconfigured::Segment);
        }
        let named = |xui: &String| xui.contains(NUMBER) && segment(&xui.replace(NUMBER, "+4917000000000"));
        if settings.xui.as_ref().is_some_and(|xui| !named(xui)) {
            return Err(Misconfigured::Xui);
        }
        let header = settings.asserted_identity.map(|name| name.parse()).transpose();
        Ok(Self {
            client: Client::new(&settings.roots, settings.deadline)?,
            root: settings.root,
            auid: settings.auid,
            document: settings.document,
            media_type: settings.media_type.parse().map_err(|_| Misconfigured::MediaType)?,
            xui: settings.xui,
            credentials: settings.credentials,
            asserted_identity: header.map_err(|_| Misconfigured::Header)?,
            challenge: Mutex::new(None),
            ambient,
        })
    }

    async fn put(&self, xui: &Xui, document: &Document) -> Result<Receipt, Undelivered> {
        let body = Bytes::from(written(document));
        for _ in 0..ATTEMPTS {
            let condition = match self.tag(xui).await? {
                Some(tag) => (IF_MATCH, tag),
                None => (IF_NONE_MATCH, HeaderValue::from_static("*")),
            };
            let answer = self.ask(Method::PUT, xui, Some(condition), body.clone()).await?;
            match answer.status {
                // 201 where it is new; not every XDMS tells the difference.
                StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => {
                    let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
                    return Ok(tag.map(ReceiptId::new).into_iter().collect());
                }
                StatusCode::PRECONDITION_FAILED => {}
                StatusCode::CONFLICT => return Err(conflict::refusal(&answer.body).into()),
                _ => return Err(answer.undelivered(self.ambient.now())),
            }
        }
        Err(Trouble::Changing.into())
    }

    async fn delete(&self, xui: &Xui) -> Result<(), Undelivered> {
        for _ in 0..ATTEMPTS {
            let Some(tag) = self.tag(xui).await? else { return Ok(()) };
            let answer = self.ask(Method::DELETE, xui, Some((IF_MATCH, tag)), Bytes::new()).await?;
            match answer.status {
                status if status.is_success() => return Ok(()),
                StatusCode::NOT_FOUND => return Ok(()),
                StatusCode::PRECONDITION_FAILED => {}
                StatusCode::CONFLICT => return Err(conflict::refusal(&answer.body).into()),
                _ => return Err(answer.undelivered(self.ambient.now())),
            }
        }
        Err(Trouble::Changing.into())
    }

    /// The entity tag of what is there; `None`: nothing is. (By GET: not every XDMS knows HEAD.)
    async fn tag(&self, xui: &Xui) -> Result<Option<HeaderValue>, Undelivered> {
        let answer = self.ask(Method::GET, xui, None, Bytes::new()).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => Ok(Some(answer.headers.get(ETAG).ok_or(Trouble::Unintelligible)?.clone())),
            _ => Err(answer.undelivered(self.ambient.now())),
        }
    }

    /// One request; where the XDMS asks who we are, the same again with the answer.
    async fn ask(
        &self,
        method: Method,
        xui: &Xui,
        condition: Option<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, Undelivered> {
        let mut asked = false;
        loop {
            let request = || self.request(&method, xui, condition.as_ref(), body.clone());
            let answer = match self.exchange(request()).await {
                // Some close a connection after each answer without saying so. Again does no harm: what was done
                // meanwhile changed the entity tag.
                Err(Trouble::Interrupted) => self.exchange(request()).await?,
                answer => answer?,
            };
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            let challenge = Challenge::strongest(answer.headers.get_all(WWW_AUTHENTICATE));
            let answerable = challenge.is_some() && self.credentials.is_some();
            *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = challenge;
            // The first answer may have been to an old nonce; one to the newest that is refused is wrong.
            if asked || !answerable {
                return Err(Trouble::Credentials.into());
            }
            asked = true;
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
        match *request.method() {
            Method::GET => self.client.head(request).await,
            _ => self.client.send(request).await,
        }
    }

    fn request(
        &self,
        method: &Method,
        xui: &Xui,
        condition: Option<&(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let segment = |text: &str| percent_encoded(text.as_bytes(), IN_SEGMENT);
        let parts = [
            self.root.as_str(),
            &segment(&self.auid),
            "users",
            &segment(xui.as_str()),
            &segment(&self.document),
        ];
        let mut request = Request::builder().method(method).uri(parts.join("/"));
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        if method == Method::PUT {
            request = request.header(CONTENT_TYPE, &self.media_type);
        }
        if let Some(name) = &self.asserted_identity {
            request = request.header(name, format!("\"{}\"", xui.as_str()));
        }
        let mut request = request.body(Full::new(body)).expect("a URL and headers that were parsed");
        if let Some(authorization) = self.authorization(&request) {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        request
    }

    fn authorization(&self, request: &Request<Full<Bytes>>) -> Option<HeaderValue> {
        let path = request.uri().path_and_query()?.as_str();
        let mut challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner);
        challenge.as_mut()?.answer(self.credentials.as_ref()?, request.method(), path, &self.ambient)
    }

    fn xui(&self, to: &Address) -> Result<Xui, Undelivered> {
        match (to, &self.xui) {
            (Address::Xui(xui), _) => Ok(xui.clone()),
            (Address::Phone(phone), Some(template)) => template
                .replace(NUMBER, phone.as_str())
                .parse()
                .map_err(|_: Malformed| Refusal::AddressKind.into()),
            (Address::Phone(_), None) => Err(Refusal::AddressKind.into()),
        }
    }
}

impl Carrier for Xdms {
    fn send<'a>(
        &'a self,
        to: &'a Address,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(async move {
            let Payload::Document(document) = payload else { return Err(Refusal::PayloadKind.into()) };
            self.put(&self.xui(to)?, document).await
        })
    }

    fn withdraw<'a>(&'a self, to: &'a Address) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move { self.delete(&self.xui(to)?).await })
    }
}

impl fmt::Debug for Xdms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xdms({}, {})", self.root.as_str(), self.auid)
    }
}

/// What a segment may hold beside the unreserved (RFC 3986, section 3.3).
const IN_SEGMENT: &[u8] = b"!$&'()*+,;=:@";
const NUMBER: &str = "{number}";
/// How often somebody else may be faster.
const ATTEMPTS: usize = 3;
