//! What the demo shows: chapters, the two sides of the proxy side by side, and claims with their verdict.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Chapter;
use super::claims::{COLUMN, Checked};
use super::evidence::{Evidence, Hop, Passage, Step};
use super::glance::Glance;
use super::stay::Command;

/// Lays the story out for eyes, 100 columns wide.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    colours: bool,
}

/// How a piece of text looks where there are colours.
#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Faint,
    Good,
    Bad,
}

const WIDTH: usize = 100;
/// Columns of the proxy's side, and of the reader's.
const LEFT: usize = 44;
const RIGHT: usize = WIDTH - LEFT - 9;
/// Letters of a large mailbox that are shown.
const SHOWN_MAX: usize = 8;

impl Page {
    /// With or without colours.
    #[must_use]
    pub fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// What this is about.
    #[must_use]
    pub fn opening(self) -> String {
        format!(
            "{}\n{OPENING}",
            self.ink(Ink::Bold, "Sidekey: session keys that travel beside the mail path, never through it.")
        )
    }

    /// One chapter: what happened, and what may be said of it.
    #[must_use]
    pub fn chapter(self, number: usize, chapter: &Chapter, evidence: &Evidence) -> String {
        let title = format!("{number}  {}", title(chapter.step));
        let time = took_text(chapter.took);
        let gap = " ".repeat((WIDTH - title.width()).saturating_sub(time.width()));
        let mut text = format!("\n{}{gap}{}\n", self.ink(Ink::Bold, &title), self.ink(Ink::Faint, &time));
        match chapter.step {
            Step::Start => {
                facts(&mut text, &[("address", &evidence.start.url), ("data", &evidence.start.folder)])
            }
            Step::Pair => {
                for party in &evidence.pair.parties {
                    let line = format!(
                        "{:<14}code {}   paired as {}",
                        party.who.to_string(),
                        party.code,
                        party.pairing
                    );
                    line_of(&mut text, &line);
                }
            }
            Step::Issue => {
                facts(&mut text, &[("user", &evidence.issue.user), ("session", &evidence.issue.session)])
            }
            Step::Clear => self.passages(&mut text, evidence.clear.as_slice()),
            Step::Sealed => self.passages(&mut text, &evidence.sealed),
            Step::Imap => self.hops(&mut text, evidence),
            Step::Deliver => self.delivered(&mut text, evidence),
            Step::Lies => self.columns(&mut text, "THE PROXY …"),
            Step::Revoke => facts(&mut text, &[("reason", &evidence.revoke.reason)]),
        }
        for checked in &chapter.claims {
            self.claim(&mut text, checked);
        }
        text
    }

    /// How it ended.
    #[must_use]
    pub fn ending(self, claims: usize, failed: usize, took: Duration) -> String {
        let took = took_text(took);
        if failed == 0 {
            self.ink(Ink::Good, &format!("\nAll {claims} claims above were checked, and hold. {took}")) + "\n"
        } else {
            self.ink(Ink::Bad, &format!("\n{failed} of {claims} claims do not hold. {took}")) + "\n"
        }
    }

    /// What to type in another terminal; when there is nothing, what else the demo does.
    #[must_use]
    pub fn commands(self, commands: &[Command]) -> String {
        if commands.is_empty() {
            return self.ink(Ink::Faint, ELSE) + "\n";
        }
        let mut text = "\nThe service stays. In another terminal:\n".to_owned();
        for command in commands {
            let _ = write!(
                text,
                "\n   {}\n{}\n",
                self.ink(Ink::Faint, &format!("# {}", command.does)),
                command.line
            );
        }
        text + "\nCtrl-C ends it, and removes its folder.\n"
    }

    fn claim(self, text: &mut String, checked: &Checked) {
        match checked.why_not() {
            None => wrap(text, &self.ink(Ink::Good, "✓"), checked.says()),
            Some(why_not) => {
                wrap(text, &self.ink(Ink::Bad, "✗"), checked.says());
                wrap(text, " ", &format!("No: {}", cut(&clean(why_not), 400)));
            }
        }
    }

    fn hops(self, text: &mut String, evidence: &Evidence) {
        let Some(seen) = &evidence.imap else { return };
        facts(text, &[("programs", &seen.programs.join(", ")), ("path", HOPS)]);
        for Hop { who, sees } in &seen.hops {
            let [first, second] = sees.each_ref().map(|line| clean(line));
            facts(text, &[(who, &first), ("", &second)]);
        }
    }

    fn delivered(self, text: &mut String, evidence: &Evidence) {
        if let Some(seen) = &evidence.deliver {
            facts(text, &[("bearer", &seen.whose), ("session", &seen.session)]);
        }
        self.columns(text, "ITS OPERATOR …");
    }

    /// The heads of a table of lies.
    fn columns(self, text: &mut String, who: &str) {
        let head = format!("     {who:<COLUMN$}THE MAIL APP SAYS");
        let _ = writeln!(text, "{}", self.ink(Ink::Faint, &head));
    }

    /// Both sides of the proxy, three lines a letter.
    fn passages(self, text: &mut String, passages: &[Passage]) {
        let head = format!("       {:<LEFT$}  {}", "THE PROXY SEES", "ANN'S PHONE READS");
        let _ = writeln!(text, "{}", self.ink(Ink::Faint, &head));
        for (number, passage) in passages.iter().take(SHOWN_MAX).enumerate() {
            let (left, right) =
                (proxy_lines(passage), passage.read.as_ref().map_or_else(Default::default, reader_lines));
            for (at, (left, right)) in left.iter().zip(&right).enumerate() {
                let number = if at == 0 { (number + 1).to_string() } else { String::new() };
                let _ = writeln!(text, "  {number:>3}  {}  {}", fit(left, LEFT), cut(right, RIGHT));
            }
        }
        if let Some(more) = passages.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            line_of(text, &format!("… and {more} more"));
        }
    }

    fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Faint => "2",
            Ink::Good => "32",
            Ink::Bad => "31",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const HOPS: &str = "curl → agent → nginx (the operator's proxy) → gateway → Dovecot";

const OPENING: &str = "
A mail app's cloud, a push vendor or a mobile operator often stands between a phone and its mail
server: its proxy logs in for the user, and reads all mail. Sidekey gives the mail server and the
user's devices keys that such a proxy never sees.

    Ann's phone  ◀──────▶  proxy  ◀──────▶  mail server      mail
    Ann's laptop                                 ▲
         ▲                                       │
         └────────────▶  key service  ◀──────────┘           keys, over HTTPS

All of this now runs on this machine. The key service and the code at both ends are the real ones;
only IMAP, between mail server and devices, is a simpler stand-in. Every line with a ✓ was checked.
";

const ELSE: &str =
    "--imap goes through Dovecot, nginx and curl; --via sms or xdms brings a key; --mail PATH; --stay.";

fn title(step: Step) -> &'static str {
    match step {
        Step::Start => "The key service starts",
        Step::Pair => "The mail server and Ann's two devices pair with it, each by a one-time code",
        Step::Issue => "The mail server asks for a session key for Ann",
        Step::Clear => "A letter without Sidekey",
        Step::Sealed => "Ann's mail with Sidekey",
        Step::Imap => "The same through programs of others, with our gateway and agent at its ends",
        Step::Deliver => "The phone's key by another bearer, which its operator may read and forge",
        Step::Lies => "The proxy lies, and is refused",
        Step::Revoke => "Ann's phone is lost: an administrator revokes it",
    }
}

fn proxy_lines(passage: &Passage) -> [String; 3] {
    let [one, two] = &passage.proxy.glimpse;
    [format!("{} octets", grouped(passage.proxy.octets)), clean(one), clean(two)]
}

fn reader_lines(glance: &Glance) -> [String; 3] {
    [format!("{} octets", grouped(glance.octets)), clean(&glance.head()), clean(&glance.text)]
}

fn facts(text: &mut String, facts: &[(&str, &str)]) {
    for (name, value) in facts {
        line_of(text, &format!("{name:<14}{}", clean(value)));
    }
}

fn line_of(text: &mut String, line: &str) {
    let _ = writeln!(text, "   {}", cut(line, WIDTH - 3));
}

/// A sentence after its mark, on as many lines as it needs.
fn wrap(text: &mut String, mark: &str, sentence: &str) {
    let mut line = format!("   {mark}");
    let mut width = 4;
    for word in sentence.split(' ') {
        if width + 1 + word.width() > WIDTH {
            let _ = writeln!(text, "{line}");
            (line, width) = ("    ".to_owned(), 4);
        }
        let _ = write!(line, " {word}");
        width += 1 + word.width();
    }
    let _ = writeln!(text, "{line}");
}

/// What others wrote must neither steer the terminal nor break a line.
fn clean(text: &str) -> String {
    let spaced: Vec<_> = text.split_whitespace().collect();
    spaced.join(" ").chars().map(|c| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters that turn the direction of what follows: a subject must not rearrange the line.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most so many columns.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 0;
    let fits = text.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width < columns
    });
    fits.collect::<String>() + "…"
}

/// Exactly so many columns.
fn fit(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let gap = columns.saturating_sub(text.width());
    text + &" ".repeat(gap)
}

/// 21,634,010
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn took_text(took: Duration) -> String {
    let ms = took.as_millis();
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", took.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b[2J\r\nb\u{202e}c\u{7}"), "a\u{fffd}[2J b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn columns_are_counted_as_a_terminal_does() {
        assert_eq!(cut("Grüße aus Köln", 14), "Grüße aus Köln");
        assert_eq!(cut("Grüße aus Köln", 13), "Grüße aus Kö…");
        assert_eq!(fit("日本語", 7), "日本語 ");
        assert_eq!(cut("日本語", 4).width(), 3);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (21_634_010, "21,634,010")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_opening_fits() {
        assert!(Page::new(false).opening().lines().all(|line| line.width() <= WIDTH));
    }
}
