//! A key on its way from the real service to the real client.

use std::sync::Arc;

use http::HeaderName;
use sidekey_carrier::Payload;
use sidekey_client::SessionKey;
use sidekey_protocol::session::envelope::cose;
use sidekey_tests::Office;
use sidekey_tests::mail::agree;

/// An envelope, the key that its mail server holds, and the phone that it is for.
pub(crate) struct Key {
    office: Office,
    key: Arc<SessionKey>,
    pub(crate) envelope: Vec<u8>,
}

impl Key {
    pub(crate) async fn issued() -> Self {
        let office = Office::open().await;
        let key = office.session().await;
        let asked = office.fetch(key.session(), "", &office.phone.keys.token());
        let accept = HeaderName::from_static("accept");
        let envelope = asked.header(accept, cose::MEDIA_TYPE).send().await.is(200).body.to_vec();
        Self { office, key, envelope }
    }

    pub(crate) fn payload(&self) -> Payload {
        Payload::Sealed(<[u8; 127]>::try_from(&self.envelope[..]).unwrap().into())
    }

    /// What arrived opens on the phone, to the key that the mail server holds.
    pub(crate) async fn opens_from(&self, arrived: &[u8]) {
        let accepted = self.office.phone.client.accept(arrived).await.unwrap();
        agree(&self.office.mail, &self.key, &self.office.phone, &accepted).await;
    }
}
