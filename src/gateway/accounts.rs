//! As whom the gateway logs in at the mail server, for whom.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sidekey_imap::command::{Body, Password};
use sidekey_protocol::ids::UserName;
use zeroize::Zeroizing;

use crate::config::Upstream;
use crate::files::{self, BadFile};

/// Every way in.
pub(crate) struct Accounts {
    strip_domain: Option<String>,
    master: Option<Master>,
    by_user: BTreeMap<String, Account>,
}

struct Master {
    user: String,
    password: Password,
    separator: char,
}

/// Whom the gateway says that it is, for whom, and what it proves it with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    user: String,
    /// Whose mail it is for, where that is another's.
    of: Option<Other>,
    password: Password,
}

/// Whose mail a master user is for.
#[derive(Clone, Debug, PartialEq)]
struct Other {
    name: String,
    /// What stands in a LOGIN between the two names.
    separator: char,
}

impl Account {
    /// As LOGIN says it.
    pub(crate) fn login(self) -> Body {
        let Self { user, of, password } = self;
        let user = match of {
            Some(Other { name, separator }) => format!("{name}{separator}{user}"),
            None => user,
        };
        Body::Login { user: user.into_bytes(), password }
    }

    /// As SASL's PLAIN says it (RFC 4616), in base64: for whom, who, and what proves it.
    pub(crate) fn plain(&self) -> Password {
        let of = self.of.as_ref().map_or("", |other| other.name.as_str());
        let message = [of.as_bytes(), self.user.as_bytes(), self.password.expose()].join(&0);
        Password::new(BASE64_STANDARD.encode(Zeroizing::new(message)).into_bytes())
    }
}

impl Accounts {
    /// As the configuration says, the passwords read.
    pub(crate) fn read(config: &Upstream) -> Result<Self, BadFile> {
        let strip_domain = config.strip_domain.as_ref().map(|domain| format!("@{domain}"));
        let master = config.master.as_ref().map(|master| {
            let (user, separator) = (master.user.clone(), master.separator);
            Ok(Master { user, password: password(&master.password_file)?, separator })
        });
        let by_user = config.accounts.iter().map(|(name, account)| {
            let password = password(&account.password_file)?;
            Ok((name.clone(), Account { user: account.user.clone(), of: None, password }))
        });
        Ok(Self {
            strip_domain,
            master: master.transpose()?,
            by_user: by_user.collect::<Result<_, BadFile>>()?,
        })
    }

    /// That of a user: the one that is said for him, else by the master user. A name with the master's separator in it is
    /// nobody's: it would say for itself as whom to log in.
    pub(crate) fn of(&self, user: &UserName) -> Option<Account> {
        let user = user.as_str();
        if self.master.as_ref().is_some_and(|master| user.contains(master.separator)) {
            return None;
        }
        if let Some(account) = self.by_user.get(user) {
            return Some(account.clone());
        }
        let Master { user: master, password, separator } = self.master.as_ref()?;
        let stripped = self.strip_domain.as_ref().and_then(|domain| user.strip_suffix(domain.as_str()));
        let name = stripped.filter(|name| !name.is_empty()).unwrap_or(user);
        let of = Other { name: name.to_owned(), separator: *separator };
        Some(Account { user: master.clone(), of: Some(of), password: password.clone() })
    }
}

/// The first line of a file that is its owner's alone.
fn password(path: &Path) -> Result<Password, BadFile> {
    let content = files::read_private(path)?;
    let line = content.split(|octet| matches!(octet, b'\r' | b'\n')).next().unwrap_or_default();
    if line.is_empty() || line.contains(&0) {
        return Err(BadFile::Malformed { path: path.to_owned(), what: "a password, in its first line" });
    }
    Ok(Password::new(line.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn accounts(more: &str) -> Accounts {
        let folder = tempfile::tempdir().unwrap();
        for (name, password) in [("gw", "of the master\n"), ("ann", "of ann\r\nmore")] {
            let path = folder.path().join(name);
            std::fs::write(&path, password).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let at = folder.path().display();
        let text = format!("address = 'mail:993'\n{more}").replace("DIR", &at.to_string());
        Accounts::read(&toml::from_str(&text).unwrap()).unwrap()
    }

    fn account(user: &str, password: &str) -> Option<Body> {
        Some(Body::Login { user: user.into(), password: Password::new(password.into()) })
    }

    const MASTER: &str = "[master]\nuser = 'gw'\npassword_file = 'DIR/gw'\n";

    #[test]
    fn a_user_s_own_account_comes_before_the_master_s() {
        let accounts = accounts(&format!(
            "strip_domain = 'example.org'\n{MASTER}\
             [accounts.'ann@example.org']\nuser = 'a.nn'\npassword_file = 'DIR/ann'"
        ));
        for (user, of) in [
            ("ann@example.org", account("a.nn", "of ann")),
            ("bob@example.org", account("bob*gw", "of the master")),
            // Another domain's user of that name is another one.
            ("bob@example.net", account("bob@example.net*gw", "of the master")),
            ("@example.org", account("@example.org*gw", "of the master")),
        ] {
            assert_eq!(accounts.of(&user.parse().unwrap()).map(Account::login), of, "{user}");
        }
    }

    #[test]
    fn a_name_that_would_name_another_master_is_nobody_s() {
        let of = |accounts: Accounts, user: &str| accounts.of(&user.parse().unwrap()).map(Account::login);
        for user in ["bob*root", "*", "bob*"] {
            assert_eq!(of(accounts(MASTER), user), None, "{user}");
        }
        let own = "[accounts.'b*b']\nuser = 'b'\npassword_file = 'DIR/ann'\n";
        assert_eq!(of(accounts(&format!("{MASTER}{own}")), "b*b"), None);
        assert_eq!(of(accounts(own), "b*b"), account("b", "of ann"));
        assert_eq!(of(accounts(own), "bob"), None);
    }

    #[test]
    fn plain_names_for_whom_and_who_apart() {
        let own = "[accounts.ann]\nuser = 'a.nn'\npassword_file = 'DIR/ann'\n";
        let accounts = accounts(&format!("{MASTER}{own}"));
        for (user, message) in [("bob", &b"bob\0gw\0of the master"[..]), ("ann", b"\0a.nn\0of ann")] {
            let plain = accounts.of(&user.parse().unwrap()).unwrap().plain();
            assert_eq!(BASE64_STANDARD.decode(plain.expose()).unwrap(), message);
        }
    }

    #[test]
    fn a_file_without_a_password_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        for content in ["", "\nsecret", "a\0b"] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(password(&path), Err(BadFile::Malformed { .. })), "{content:?}");
        }
    }
}
