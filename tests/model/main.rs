//! A model of pairing, rekey, sessions and revocation, looked at whole within its bounds.
//!
//! What is in it: the messages of `proto/pairing`, `proto/session` and `proto/revocation` as terms; the service's steps as it
//! runs them, with two requests at once and a crash between any two steps; two devices with a code each, their users, an
//! administrator and a mail server; and an attacker who is the network of the devices, as if there were no TLS. She reads
//! everything, drops and replays what she likes, forges what she can make, and uses the tokens that she sees. What
//! administrator and mail server ask is not hers: who has their tokens has their rights.
//!
//! What is not: time (nothing expires or lapses), policies and suites, more than one session, carriers but for what they
//! show, mistyped digits, the service's other signing keys. Cryptography is perfect, and a guess at a code as unlucky as
//! can be: the right one is the sixth. Whoever ends a device's TLS has one guess more at what its user types, each time; it
//! is not counted. A device without a pin whose code travelled waits for its user's word, whatever a service says: one that
//! believes a service that says that nothing is missing is among what breaks.
#![expect(clippy::print_stdout, reason = "how much was looked at is for people to read")]

mod attacker;
mod parties;
mod properties;
mod rules;
mod service;
mod steps;
mod terms;
mod variants;
mod weakened;
