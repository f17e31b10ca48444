//! Deliveries by carriers, and where carriers reach devices.

use http::Method;
use serde::Serialize;
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::delivery::wire::{Carriers, SetAddress};
use sidekey_protocol::ids::{PartyId, ServerName, Timestamp, UserName};

use super::{Admin, Invite, Invited, Made, Pairing};
use crate::error::Error;

pub use sidekey_protocol::delivery::wire::{
    CarrierAddress, CarrierKind, CarrierSeen, DeliveryKind, DeliverySeen, DeliveryState,
};

/// Which deliveries to list: all that are not said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeliveryFilter {
    /// That stand so.
    pub state: Option<DeliveryState>,
    /// That this carrier has.
    pub carrier: Option<CarrierName>,
    /// At this mail server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// For this pairing.
    pub pairing: Option<PartyId>,
    /// That were made later than this.
    pub created_after: Option<Timestamp>,
}

#[derive(Serialize)]
struct Sent<'a> {
    #[serde(flatten)]
    invite: &'a Invite,
    deliver: &'a CarrierAddress,
}

impl Admin {
    /// Invites a client and has the invitation sent, without its code: that is handed over in another way. The address stays
    /// with the pairing.
    ///
    /// # Errors
    /// As [`Admin::invite`]; [`Error::Refused`] with `carrier_unknown`, `carrier_unfit`, `address_invalid`.
    pub async fn invite_by(&self, invite: &Invite, deliver: &CarrierAddress) -> Result<Invited, Error> {
        let call = self.transport().call(Method::POST, "/v1/invitations");
        call.json(&Sent { invite, deliver }).send::<Made>().await?.invited()
    }

    /// Sets where a carrier reaches a client, or that it does not.
    ///
    /// # Errors
    /// [`Error::Refused`] with `carrier_unknown`, `address_invalid`, `not_found`.
    pub async fn set_address(
        &self,
        pairing: PartyId,
        carrier: &CarrierName,
        to: Option<&str>,
    ) -> Result<Pairing, Error> {
        let path = format!("/v1/pairings/{pairing}/addresses/{carrier}");
        match to {
            Some(to) => {
                let call = self.transport().call(Method::PUT, path);
                call.json(&SetAddress { to: to.to_owned() }).repeatable().send().await
            }
            None => self.transport().call(Method::DELETE, path).repeatable().send().await,
        }
    }

    /// Deliveries, oldest first.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliverySeen>, Error> {
        self.all("/v1/deliveries", filter).await
    }

    /// One delivery.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: it is not known (any more).
    pub async fn delivery(&self, number: u32) -> Result<DeliverySeen, Error> {
        self.transport().call(Method::GET, format!("/v1/deliveries/{number}")).send().await
    }

    /// Has a delivery tried at once.
    ///
    /// # Errors
    /// [`Error::Refused`] with `delivery_over`, `not_found`.
    pub async fn retry_delivery(&self, number: u32) -> Result<DeliverySeen, Error> {
        self.transport().call(Method::POST, format!("/v1/deliveries/{number}/retry")).send().await
    }

    /// Has a delivery tried no more.
    ///
    /// # Errors
    /// [`Error::Refused`] with `delivery_over`, `not_found`.
    pub async fn cancel_delivery(&self, number: u32) -> Result<DeliverySeen, Error> {
        self.transport().call(Method::POST, format!("/v1/deliveries/{number}/cancel")).send().await
    }

    /// The carriers that are configured, and how they are.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn carriers(&self) -> Result<Vec<CarrierSeen>, Error> {
        Ok(self.transport().call(Method::GET, "/v1/carriers").send::<Carriers>().await?.items)
    }
}
