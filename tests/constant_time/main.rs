//! Which way the code goes, and where it looks, must not depend on a secret: whoever measures it would learn of it.
//!
//! Valgrind sees that, and needs no stop-watch: memcheck reports every branch on undefined memory and every address that is
//! computed from it. So secrets are declared undefined here, and what they go through is run. What comes out and is public is
//! declared defined again. What is decided on the way, and is public too, stands in `public.supp`, with the reason.
//!
//! What is not run: Argon2id, whose addresses depend on the password by design (RFC 9106; once for each pairing), and how keys
//! are read from the disk. What is not seen: how long one instruction takes, as a division does; what a processor does ahead of
//! time; what a linker changes that optimises the whole, as for the packages (`profile.shipping`). Valgrind knows AES and AVX2:
//! where a processor has SHA or AVX-512 besides, libraries run other code on it.
#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod gate;
mod leaking;
mod memcheck;
mod secrets;
