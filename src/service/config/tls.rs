//! `[tls]`: the certificate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the TLS certificate and its key are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM chain, our own certificate first; relative to `data`.
    pub certificate_file: PathBuf,
    /// PEM private key; relative to `data`.
    pub key_file: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self { certificate_file: PathBuf::from("tls.pem"), key_file: PathBuf::from("tls.key") }
    }
}
