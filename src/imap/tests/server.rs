//! Dovecot on its standard input and output, without a daemon.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use sidekey_imap::command::{Command, Literals};
use sidekey_imap::response::{Attribute, Condition, Message, Piece, Policy, Responses, Status, Verdict};
use sidekey_imap::scanner::{Limits, Scanner, Side};
use tempfile::TempDir;

const IMAP: &str = "/usr/lib/dovecot/imap";

/// One verdict for all items, one for all other data.
pub(crate) struct All(pub(crate) Verdict, pub(crate) Verdict);

impl Policy for All {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        self.1
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        self.0
    }
}

/// One connection, logged in.
pub(crate) struct Dovecot {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
    responses: Responses,
    scanner: Scanner,
    /// How much is read at once.
    piece: usize,
    _folder: TempDir,
}

/// What a command was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) octets: Vec<u8>,
    pub(crate) status: Option<Status>,
}

impl Dovecot {
    /// With these messages in its INBOX.
    pub(crate) fn start(messages: &[Vec<u8>], piece: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let maildir = folder.path().join("Maildir");
        for name in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(maildir.join(name)).unwrap();
        }
        for (at, message) in messages.iter().enumerate() {
            std::fs::write(maildir.join(format!("new/{}.M{at}P1.sidekey", 1_767_225_600 + at)), message)
                .unwrap();
        }
        give_away(folder.path());
        let location = format!("mail=maildir:{}", maildir.display());
        // Dovecot does not read mail as root.
        let mut process = if is_root() {
            let mut process = Process::new("setpriv");
            process.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", IMAP]);
            process
        } else {
            Process::new(IMAP)
        };
        let mut process = process
            .args(["-o", &location])
            .env("HOME", folder.path())
            .env("USER", "probe")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{IMAP}: {error}; run tests/counterparts/imap/install"));
        let mut server = Self {
            input: process.stdin.take().unwrap(),
            output: process.stdout.take().unwrap(),
            process,
            responses: Responses::new(Limits::SERVER),
            scanner: Scanner::new(Side::Server, Limits::SERVER),
            piece,
            _folder: folder,
        };
        let greeting = server.answer(|status| status.condition == Condition::PreAuth);
        assert!(greeting.status.unwrap().text.starts_with("Logged in"));
        server
    }

    /// What a command is answered, written in the one spelling.
    pub(crate) fn ask(&mut self, command: &Command, literals: Literals) -> Answer {
        let mut waited = Vec::new();
        let segments = command.write(literals);
        for (at, segment) in segments.iter().enumerate() {
            self.send(segment);
            if at + 1 < segments.len() {
                waited.extend(self.until_continuation());
            }
        }
        let mut answer = self.answer(|status| status.tag.as_ref() == Some(&command.tag));
        answer.octets.splice(0..0, waited);
        answer
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.input.write_all(octets).unwrap();
        self.input.flush().unwrap();
    }

    /// Reads until the server goes on.
    pub(crate) fn until_continuation(&mut self) -> Vec<u8> {
        let answer = self.read(|piece| matches!(piece, Piece::Continuation(_)));
        assert!(answer.octets.ends_with(b"\r\n"), "a continuation ends what is sent");
        answer.octets
    }

    /// Reads until a status response that ends it, or the server's end. All of it must pass unchanged.
    pub(crate) fn answer(&mut self, ends: impl Fn(&Status) -> bool) -> Answer {
        self.read(|piece| matches!(piece, Piece::Status(status) if ends(status)))
    }

    /// Reads until what ends it.
    pub(crate) fn read(&mut self, ends: impl Fn(&Piece<'_>) -> bool) -> Answer {
        let (mut octets, mut passed, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        let mut piece = vec![0; self.piece];
        loop {
            let read = self.output.read(&mut piece).unwrap();
            let (mut input, mut again) = (&piece[..read], &piece[..read]);
            octets.extend_from_slice(input);
            while let Some(token) = self.scanner.next(&mut again).unwrap() {
                tokens.extend_from_slice(token.octets);
            }
            let mut status = None;
            let mut ended = read == 0;
            while let Some(piece) =
                self.responses.next(&mut input, &mut All(Verdict::Pass, Verdict::Pass)).unwrap()
            {
                ended |= ends(&piece);
                match piece {
                    Piece::Wire(octets) => passed.extend_from_slice(&octets),
                    Piece::Continuation(text) => {
                        passed.extend_from_slice(b"+ ");
                        passed.extend_from_slice(&text);
                        passed.extend_from_slice(b"\r\n");
                    }
                    Piece::Status(found) => {
                        passed.extend_from_slice(found.octets());
                        passed.extend_from_slice(b"\r\n");
                        status = Some(found);
                    }
                    other => panic!("{other:?}"),
                }
            }
            if ended {
                assert!(passed == octets, "what passes is what came: {}", octets.escape_ascii());
                assert!(tokens == octets, "the tokens are what came");
                return Answer { octets, status };
            }
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The folder and all in it to everybody: whoever Dovecot runs as.
fn give_away(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}
