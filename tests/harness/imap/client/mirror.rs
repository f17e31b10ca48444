//! A copy that is changed here, and changes there.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{mbsync, store};
use crate::imap::Account;

/// A Maildir that mbsync keeps the same as INBOX, both ways.
#[derive(Debug)]
pub struct Mirror {
    settings: String,
    folder: TempDir,
}

impl Mirror {
    /// Nothing yet.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let settings = format!(
            "{}MaildirStore near\nPath {at}/\nInbox {at}/inbox\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\n\
             Create Near\nSync All\nExpunge Both\nSyncState *\n",
            store("far", account),
        );
        Self { settings, folder }
    }

    /// What has changed on either side is changed on the other.
    pub async fn sync(&self) {
        mbsync(&self.settings, self.folder.path()).await;
    }

    /// A new message.
    pub fn put(&self, message: &[u8]) {
        fs::write(self.folder.path().join("inbox/new/1.put"), message).unwrap();
    }

    /// Gives the message with these words in it these flags, as a Maildir spells them.
    pub fn mark(&self, words: &str, flags: &str) {
        let files: Vec<PathBuf> = ["cur", "new"]
            .into_iter()
            .flat_map(|name| fs::read_dir(self.folder.path().join("inbox").join(name)).unwrap())
            .map(|file| file.unwrap().path())
            .filter(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).contains(words))
            .collect();
        let [path] = &files[..] else { panic!("{words}: {files:?}") };
        let name = path.file_name().unwrap().to_str().unwrap();
        let (name, _) = name.split_once(":2,").unwrap_or((name, ""));
        fs::rename(path, self.folder.path().join(format!("inbox/cur/{name}:2,{flags}"))).unwrap();
    }
}
