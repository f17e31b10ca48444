//! What the other end says.

use sidekey_imap::command::Set;
use sidekey_imap::passes;
use sidekey_imap::response::{Attribute, Code, Condition, Data, Message, Piece, Policy, Status, Verdict};
use sidekey_protocol::ids::Timestamp;

use super::sealing::read_near;
use super::{Ended, Running, Selected, Session, Unfit, What, Wish, Wished};
use crate::alert::{Alert, Forgery};
use crate::told::{self, Expected, Told};

/// All is taken that is not dropped, but for the answers of SEARCH, which may be long.
struct Everything;

impl Policy for Everything {
    fn data(&mut self, _: Option<u32>, name: &str) -> Verdict {
        match name {
            "SEARCH" => Verdict::Pass,
            "ENABLED" | "ESEARCH" | "EXISTS" | "EXPUNGE" | "FLAGS" | "LIST" | "LSUB" | "NAMESPACE"
            | "RECENT" | "STATUS" | "VANISHED" => Verdict::Take,
            _ => Verdict::Drop,
        }
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        Verdict::Take
    }
}

impl Session {
    /// Takes of what the other end sent what can be taken now, and leaves the rest. To be called, with nothing, also
    /// when what waited for the program was taken: there may be more.
    ///
    /// # Errors
    /// The session is over.
    pub fn server(&mut self, input: &mut &[u8], now: Timestamp) -> Result<(), Ended> {
        self.now = now;
        self.over()?;
        self.unstall()?;
        while self.reads_server() {
            match self.responses.next(input, &mut Everything) {
                Ok(None) => break,
                Ok(Some(piece)) => self.piece(piece)?,
                Err(unreadable) => return Err(self.unfit(Unfit::Unreadable(unreadable))),
            }
            self.out.pump()?;
        }
        self.resend()?;
        Ok(())
    }

    /// The other end has closed. What waits for the program is sent to its end; then [`Session::server`] says so.
    pub fn server_gone(&mut self) {
        if self.end.is_none() && !self.once_more() {
            self.gone();
        }
    }

    /// What waits for the program goes first.
    pub(super) fn over(&mut self) -> Result<(), Ended> {
        self.out.pump()?;
        match &self.end {
            Some(end) if !self.out.has_more() => Err(end.clone()),
            _ => Ok(()),
        }
    }

    /// Ends with what the program is told, under the command that it waits for too.
    pub(super) fn refuse(&mut self, alert: Alert) -> Ended {
        self.alert(alert);
        if let Some(tag) = self.running.take().and_then(|running| running.tag) {
            self.answer(Some(&tag), "NO", &alert.to_string());
        }
        self.answer(None, "BYE", &alert.to_string());
        Ended::Alert(alert)
    }

    pub(super) fn unfit(&mut self, unfit: Unfit) -> Ended {
        self.out.put(b"* BYE what the mail server said is no IMAP\r\n");
        Ended::Server(unfit)
    }

    fn piece(&mut self, piece: Piece<'_>) -> Result<(), Ended> {
        match piece {
            Piece::Wire(octets) => self.wire(&octets)?,
            Piece::Status(status) if status.tag.is_some() => self.finished(&status)?,
            Piece::Status(status) => self.untagged(&status)?,
            Piece::Continuation(_) => self.continuation(),
            Piece::Data(data) => self.data(&data),
            Piece::Take(taken) => self.take(&taken),
            Piece::Octets(octets) => self.octets(&octets)?,
            Piece::Taken => self.taken()?,
        }
        Ok(())
    }

    /// What stands around the items of a FETCH response, which are taken each, and the answers of SEARCH.
    fn wire(&mut self, mut octets: &[u8]) -> Result<(), Ended> {
        while let Some(first) = octets.first() {
            let taken = match (self.searching, &self.answer, first) {
                (true, ..) => self.found(octets)?,
                (false, Some(_), b')') => {
                    self.answered()?;
                    octets.len().min(b")\r\n".len())
                }
                (false, Some(_), _) => 1,
                (false, None, _) if is_search(octets) => {
                    self.searching = true;
                    0
                }
                (false, None, _) => {
                    let opening = octets.iter().position(|octet| *octet == b'(');
                    opening.map_or(octets.len(), |at| at + 1)
                }
            };
            octets = &octets[taken..];
        }
        Ok(())
    }

    /// Some of a SEARCH response: numbers alone go on, to who has asked.
    fn found(&mut self, octets: &[u8]) -> Result<usize, Ended> {
        let end = octets.iter().position(|octet| *octet == b'\n').map(|at| at + 1);
        let taken = &octets[..end.unwrap_or(octets.len())];
        if !taken.iter().all(|octet| octet.is_ascii_alphanumeric() || b"* ()\r\n".contains(octet)) {
            return Err(self.unfit(Unfit::SearchMalformed));
        }
        if matches!(self.running, Some(Running { what: What::Search, .. })) {
            self.out.put(taken);
        }
        self.searching = end.is_none();
        Ok(taken.len())
    }

    fn continuation(&mut self) {
        let segment = self.running.as_mut().and_then(|running| running.unsent.pop_front());
        if let Some(segment) = segment {
            self.to_server.extend_from_slice(&segment);
            self.announced();
            self.announced_again();
        } else if let Some(Running { what: What::Idle { begun: begun @ false }, .. }) = &mut self.running {
            *begun = true;
            self.reader.expect_raw();
            self.out.put(b"+ idling\r\n");
        } else if !self.begin_message() && !self.goes_again() {
            self.alert(Alert::Forged(Forgery::Response));
        }
    }

    fn untagged(&mut self, status: &Status) -> Result<(), Ended> {
        let logs_out = matches!(self.running, Some(Running { what: What::Logout, .. }));
        match (status.condition, &status.code) {
            (Condition::Bye, _) if logs_out || self.once_more() => return Ok(()),
            (Condition::Bye, _) => {
                self.out.put(GONE);
                return Err(Ended::ServerGone);
            }
            (Condition::PreAuth, _) => {
                self.alert(Alert::Forged(Forgery::Response));
                return Ok(());
            }
            // A hint, which anybody can give.
            (_, Some(Code::XEncrypted(words))) => {
                self.near = read_near(words).or(self.near);
                return Ok(());
            }
            _ => {}
        }
        let expected = match self.running.as_mut().map(|running| &mut running.what) {
            Some(What::Select(selected)) => {
                if let Some(Code::UidValidity(uid_validity)) = status.code {
                    selected.uid_validity = Some(uid_validity);
                }
                Expected::Select
            }
            Some(What::Expunge { copies: true, .. }) => Expected::Copy,
            _ => Expected::Usual,
        };
        self.tell(status, "*", expected);
        Ok(())
    }

    pub(super) fn tell(&mut self, status: &Status, tag: &str, expected: Expected) {
        let Told { line, forged } = told::status(status, tag, expected);
        self.out.put(line.as_bytes());
        if let Some(forgery) = forged {
            self.alert(Alert::Forged(forgery));
        }
    }

    fn finished(&mut self, status: &Status) -> Result<(), Ended> {
        let ours = |running: &mut Running| status.tag.as_ref() == Some(&running.ours);
        let Some(mut running) = self.running.take_if(ours) else {
            return Err(self.unfit(Unfit::TagUnknown));
        };
        if let What::Append(appending) = &mut running.what
            && !self.append_answered(appending, status)
        {
            self.running = Some(running);
            return Ok(());
        }
        if let What::Again(_) = &running.what {
            self.answered_again(&running, status);
            return Ok(());
        }
        let Running { tag, what, .. } = running;
        let ok = status.condition == Condition::Ok;
        let expected = match what {
            What::Append(_) => Expected::Append,
            What::Fetch(fetching) => {
                self.fetched(tag, *fetching, status);
                return Ok(());
            }
            What::Recount(recount) => {
                self.recounted(tag.as_ref(), &recount);
                return Ok(());
            }
            What::Logout => {
                self.out.put(b"* BYE logging out\r\n");
                self.answer(tag.as_ref(), "OK", "logged out");
                return Err(Ended::LoggedOut);
            }
            What::Select(selected) => {
                self.mailbox = ok.then_some(*selected);
                Expected::Usual
            }
            What::Leave => {
                self.mailbox.take_if(|_| ok);
                Expected::Usual
            }
            What::Copy | What::Expunge { copies: true, .. } => Expected::Copy,
            _ => Expected::Usual,
        };
        if let Some(tag) = tag {
            self.tell(status, tag.as_str(), expected);
        }
        Ok(())
    }
}

/// Responses that carry data.
impl Session {
    fn data(&mut self, data: &Data) {
        let separator = matches!(self.running, Some(Running { what: What::Separator, .. }));
        match data.name().as_str() {
            "LIST" if separator => self.separator = data.listed().and_then(|listed| listed.separator),
            name if ASKED_FOR.contains(&name) && !self.asks_for(name) => {
                self.alert(Alert::Forged(Forgery::Response));
            }
            "ENABLED" => self.enabled(data),
            "EXISTS" => self.exist(data),
            "EXPUNGE" | "VANISHED" => self.vanish(data),
            _ => self.pass(data.octets()),
        }
    }

    /// Whether the command that is upstream is answered with data of this name.
    fn asks_for(&self, name: &str) -> bool {
        match self.running.as_ref().map(|running| &running.what) {
            Some(What::Data(names)) => names.contains(&name),
            Some(What::Search) => name == "ESEARCH",
            _ => false,
        }
    }

    /// Of what is said to be enabled, what the gateway can have enabled.
    fn enabled(&mut self, data: &Data) {
        let text = String::from_utf8_lossy(data.octets()).to_ascii_uppercase();
        let names = text.split(' ').filter(|name| passes::ENABLED.contains(name));
        let line = names.fold("* ENABLED".to_owned(), |line, name| line + " " + name);
        self.pass(line.as_bytes());
    }

    fn pass(&mut self, line: &[u8]) {
        self.out.put(line);
        self.out.put(b"\r\n");
    }

    /// The mailbox that is, or is being, selected.
    pub(super) fn present(&mut self) -> Option<&mut Selected> {
        match &mut self.running {
            Some(Running { what: What::Select(selected), .. }) => Some(selected),
            _ => self.mailbox.as_mut(),
        }
    }

    /// There cannot be fewer messages without word of each that is gone.
    fn exist(&mut self, data: &Data) {
        let exists = data.number().unwrap_or(0);
        let Some(mailbox) = self.present() else { return };
        if exists < mailbox.exists {
            let messages = u64::from(mailbox.exists - exists);
            return self.alert(Alert::Missing { messages });
        }
        mailbox.exists = exists;
        self.pass(data.octets());
    }

    /// Messages are gone. Many that nobody here has deleted wait until that is confirmed.
    fn vanish(&mut self, data: &Data) {
        let line = data.octets();
        let Some(gone) = Gone::read(line) else { return self.alert(Alert::Forged(Forgery::Response)) };
        let limit = self.settings.deletions_max;
        let Some(mailbox) = self.present() else { return };
        if mailbox.has_not(&gone) {
            return self.alert(Alert::Forged(Forgery::Number));
        }
        let lost = mailbox.lost(&gone);
        let more = lost - self.asked_to_vanish(lost);
        let Some(mailbox) = self.present() else { return };
        if let (Some(unasked), 1..) = (&mut mailbox.unasked, more) {
            *unasked += more;
            if *unasked > limit {
                self.wish = Wished::Untold(Wish::Deletion { messages: *unasked });
                self.held = Some(line.to_vec());
                return;
            }
        }
        self.vanished(line);
    }

    /// How many of so many the program itself has asked to be gone.
    fn asked_to_vanish(&mut self, lost: u64) -> u64 {
        match self.running.as_mut().map(|running| &mut running.what) {
            Some(What::Leave) => lost,
            Some(What::Expunge { named, .. }) => {
                let asked = lost.min(*named);
                *named -= asked;
                asked
            }
            _ => 0,
        }
    }

    /// Messages are gone, and that is in order.
    pub(super) fn vanished(&mut self, line: &[u8]) {
        let Some(gone) = Gone::read(line) else { return };
        if let Some(mailbox) = self.present() {
            mailbox.forget(&gone);
        }
        self.pass(line);
    }
}

/// Which messages are gone.
pub(super) enum Gone {
    /// The one in this place.
    Number(u32),
    /// Those of these UIDs, now or at some time before.
    Uids { set: Set, earlier: bool },
}

impl Gone {
    fn read(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.to_ascii_uppercase();
        let words: Vec<_> = text.split(' ').collect();
        match words[..] {
            ["*", number, "EXPUNGE"] => number.parse().ok().filter(|number| *number > 0).map(Self::Number),
            ["*", "VANISHED", set] => Some(Self::Uids { set: Set::parse(set).ok()?, earlier: false }),
            ["*", "VANISHED", "(EARLIER)", set] => {
                Some(Self::Uids { set: Set::parse(set).ok()?, earlier: true })
            }
            _ => None,
        }
    }
}

/// Data that answers a command, and is given to nobody who did not ask.
const ASKED_FOR: [&str; 6] = ["ENABLED", "ESEARCH", "LIST", "LSUB", "NAMESPACE", "STATUS"];

fn is_search(octets: &[u8]) -> bool {
    octets.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"* SEARCH"))
}

pub(super) const GONE: &[u8] = b"* BYE the mail server has closed the connection\r\n";
