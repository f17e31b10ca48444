//! `text/event-stream` (WHATWG HTML, section 9.2), as far as our service speaks it: lines end in LF or CR LF. Without I/O.

/// One message.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) data: String,
}

/// The message is longer than any of ours, or not text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unreadable;

/// Takes octets as they come, gives messages as they are whole.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    message: Message,
    id: String,
    last_id: Option<String>,
}

impl Parser {
    /// Takes more octets; gives the messages that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Message>, Unreadable> {
        let mut messages = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            messages.extend(self.take_line(line.strip_suffix(b"\r").unwrap_or(&line))?);
        }
        self.extend(bytes)?;
        Ok(messages)
    }

    /// The id of the last message, or of a later sign of life: whoever comes back with it hears what follows.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if self.line.len() + bytes.len() + self.message.data.len() > MESSAGE_MAX_BYTES {
            return Err(Unreadable);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<Message>, Unreadable> {
        if line.is_empty() {
            if !self.id.is_empty() {
                self.last_id = Some(std::mem::take(&mut self.id));
            }
            let message = std::mem::take(&mut self.message);
            return Ok((!message.data.is_empty()).then_some(message));
        }
        let line = std::str::from_utf8(line).map_err(|_| Unreadable)?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.message.event),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            "id" if is_id(value) => value.clone_into(&mut self.id),
            // Comments (no name), `retry`, and what may come.
            _ => {}
        }
        Ok(None)
    }
}

/// Fit for a header, and not longer than any of ours.
fn is_id(value: &str) -> bool {
    (1..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

const MESSAGE_MAX_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, data: &str) -> Message {
        Message { event: event.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut() {
        let stream =
            b": beat\n\nevent: ended\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent:x\r\ndata:y\r\n\r\ndata\n\n";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let messages: Vec<_> =
                stream.chunks(size).flat_map(|chunk| parser.push(chunk).unwrap()).collect();
            assert_eq!(messages, [message("ended", "{\"a\":\n1}"), message("x", "y")], "{size}");
        }
    }

    #[test]
    fn an_id_holds_once_its_message_is_whole_and_until_the_next() {
        let mut parser = Parser::default();
        let mut after = |text: &str| {
            parser.push(text.as_bytes()).unwrap();
            parser.last_id().map(str::to_owned)
        };
        assert_eq!(after("event: ended\ndata: {}\nid: 7\n"), None);
        assert_eq!(after("\n").as_deref(), Some("7"));
        assert_eq!(
            after("event: ended\ndata: {}\n\n").as_deref(),
            Some("7"),
            "more of the same commit follows"
        );
        assert_eq!(after(": \nid: 9\n\n").as_deref(), Some("9"), "a sign of life");
        assert_eq!(after("id: a b\n\nid\n\n").as_deref(), Some("9"));
    }

    #[test]
    fn a_message_without_end_is_given_up() {
        let mut line = Parser::default();
        assert_eq!(line.push(&[b'a'; MESSAGE_MAX_BYTES + 1]), Err(Unreadable));
        let mut lines = Parser::default();
        let outcome = (0..MESSAGE_MAX_BYTES).try_for_each(|_| lines.push(b"data: a\n").map(drop));
        assert_eq!(outcome, Err(Unreadable));
    }

    #[test]
    fn what_is_not_text_is_given_up() {
        assert_eq!(Parser::default().push(b"data: \xff\n"), Err(Unreadable));
    }
}
