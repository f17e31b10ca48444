//! The carriers against other people's servers, and against hostile ones.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod gateway;
mod jasmin;
mod keys;
mod leak;
mod osmocom;
mod sealed;
mod service;
mod smpp;
mod webhook;
mod xdms;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_carrier::{Address, Ambient, Document, Entry, Invitation, Payload, Phone, Roots};
use sidekey_protocol::ids::{InvitationId, SessionId, Timestamp};
use sidekey_tests::others::authority::Authority;

/// A clock that stands still, and randomness that is the same every time.
fn ambient() -> Ambient {
    Ambient::new(|| NOW, ChaCha20Rng::seed_from_u64(1))
}

/// This authority alone.
fn pinned(authority: &Authority) -> Roots {
    Roots::Pem(authority.pem().to_owned())
}

fn phone(number: &str) -> Address {
    number.parse::<Phone>().unwrap().into()
}

/// An envelope's 127 octets: each one another, from 0 on and up to 0xff.
fn envelope() -> [u8; 127] {
    std::array::from_fn(|at| if at == 126 { 0xff } else { u8::try_from(at * 2).unwrap() })
}

fn invitation() -> Payload {
    let url = "https://keys.example.com".parse().unwrap();
    Payload::Invitation(Invitation::new(&url, InvitationId::from_bytes([7; 16])).unwrap())
}

fn document(envelopes: &[&str]) -> Payload {
    let entry = |(n, envelope): (usize, &&str)| Entry {
        session: SessionId::from_bytes([u8::try_from(n).unwrap(); 16]),
        generation: u32::try_from(n).unwrap(),
        envelope: (*envelope).to_owned(),
    };
    Payload::Document(Document::new(envelopes.iter().enumerate().map(entry).collect()).unwrap())
}

const NOW: Timestamp = Timestamp(1_795_000_000);
