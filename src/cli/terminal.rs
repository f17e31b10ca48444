//! What is typed at a terminal and must not be seen.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Exit, Stop};

/// Asks on the terminal, and does not show what is typed.
///
/// # Errors
/// There is no terminal.
pub fn ask_secret(question: &str) -> Result<Zeroizing<String>, Stop> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Stop::new(Exit::Usage, "no_terminal", "a passphrase is to be typed, and there is no terminal")
            .next("start it from one, or set root_key to a passphrase_file, a passphrase_credential or a passphrase_fd"));
    }
    let failed = |error: io::Error| Stop::new(Exit::Failed, "terminal", format!("cannot ask: {error}"));
    let _quiet = Quiet::start().map_err(failed)?;
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(failed)?;
    let mut line = Zeroizing::new(String::with_capacity(LINE_SIZE));
    stdin.lock().read_line(&mut line).map_err(failed)?;
    // The typed one was not shown.
    stderr.write_all(b"\n").map_err(failed)?;
    Ok(line)
}

/// While it lives the terminal shows nothing.
struct Quiet(Termios);

impl Quiet {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing either.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Octets that a line may have before it is moved, which would leave a copy.
const LINE_SIZE: usize = 4096;
