//! `root_key`: where the key comes from under which every other key is sealed.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the root key comes from: the key itself, one line of base64url, or a passphrase that it is derived from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootKey {
    /// A file that holds the key; relative to the data folder.
    File(PathBuf),
    /// A credential of systemd's (`LoadCredential=`) that holds the key, by its name.
    Credential(String),
    /// A variable of the environment that holds the key.
    Env(String),
    /// A file that holds the passphrase; relative to the data folder.
    PassphraseFile(PathBuf),
    /// A credential of systemd's that holds the passphrase, by its name.
    PassphraseCredential(String),
    /// An open file of the process, by its number, from which the passphrase is read.
    PassphraseFd(u32),
    /// Whoever starts the service types the passphrase.
    PassphrasePrompt,
}

impl RootKey {
    /// Whether the key is derived from a passphrase.
    #[must_use]
    pub const fn is_passphrase(&self) -> bool {
        match self {
            Self::File(_) | Self::Credential(_) | Self::Env(_) => false,
            Self::PassphraseFile(_)
            | Self::PassphraseCredential(_)
            | Self::PassphraseFd(_)
            | Self::PassphrasePrompt => true,
        }
    }
}

impl Default for RootKey {
    fn default() -> Self {
        Self::File(PathBuf::from("root.key"))
    }
}

/// For a line that says where a key came from.
impl fmt::Display for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::PassphraseFile(path) => write!(f, "passphrase in file {}", path.display()),
            Self::PassphraseCredential(name) => write!(f, "passphrase in credential {name}"),
            Self::PassphraseFd(fd) => write!(f, "passphrase from file descriptor {fd}"),
            Self::PassphrasePrompt => f.write_str("passphrase typed at the start"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_source_can_be_written_down() {
        for (text, source) in [
            ("{ file = 'k' }", RootKey::File("k".into())),
            ("{ credential = 'k' }", RootKey::Credential("k".into())),
            ("{ env = 'K' }", RootKey::Env("K".into())),
            ("{ passphrase_file = 'p' }", RootKey::PassphraseFile("p".into())),
            ("{ passphrase_credential = 'p' }", RootKey::PassphraseCredential("p".into())),
            ("{ passphrase_fd = 3 }", RootKey::PassphraseFd(3)),
            ("'passphrase_prompt'", RootKey::PassphrasePrompt),
        ] {
            let config: Config = toml::from_str(&format!("root_key = {text}")).unwrap();
            assert_eq!(config.root_key, source, "{text}");
        }
        for bad in ["{ passphrase = 'in the clear' }", "{ file = 'a', env = 'B' }", "'root.key'", "{}"] {
            assert!(toml::from_str::<Config>(&format!("root_key = {bad}")).is_err(), "{bad}");
        }
    }
}
