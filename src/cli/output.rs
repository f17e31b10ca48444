//! The only place that prints. Tables for eyes, JSON for scripts; results on stdout, everything else on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Cell, Table};
use serde_json::Value;

use crate::exit::{Exit, Stop};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// Tables and sentences, for eyes.
    #[default]
    Text,
    /// JSON, for scripts: one document on stdout, an error as one document on stderr.
    Json,
}

/// What a command did.
#[derive(Debug)]
pub struct Report {
    did: String,
    body: Option<Table>,
    picture: Option<String>,
    next: Option<String>,
    json: Value,
    exit: Option<Exit>,
}

impl Report {
    /// `did` says in one line what happened; `json` is the same for scripts.
    pub fn new(did: impl Into<String>, json: Value) -> Self {
        Self { did: did.into(), body: None, picture: None, next: None, json, exit: None }
    }

    /// Names and values, one a line.
    #[must_use]
    pub fn facts<'a>(mut self, facts: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        self.body = Some(facts_table(facts));
        self
    }

    /// A table with a head.
    #[must_use]
    pub fn list(mut self, list: List) -> Self {
        self.body = Some(list.0);
        self
    }

    /// A picture below the table, for eyes only.
    #[must_use]
    pub fn picture(mut self, picture: Option<String>) -> Self {
        self.picture = picture;
        self
    }

    /// How the command ends, though it did what it was asked: a check that found something.
    #[must_use]
    pub fn ending(mut self, exit: Option<Exit>) -> Self {
        self.exit = exit;
        self
    }

    /// How the command ends; well unless said.
    #[must_use]
    pub const fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// What to do next: one exact command.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Rows under a head.
#[derive(Debug)]
pub struct List(Table);

impl List {
    /// Under these names.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        let mut table = bare();
        table.set_header(head.iter().map(|name| cell(&name.to_uppercase())));
        Self(table)
    }

    /// One more row.
    pub fn row(&mut self, cells: &[String]) {
        self.0.add_row(cells.iter().map(|text| cell(text)));
    }
}

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    format: Format,
    quiet: bool,
}

impl Screen {
    /// Writes in `format`; `quiet` leaves out what is not a result.
    #[must_use]
    pub fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// How results are written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether somebody looks at the results on a terminal.
    #[must_use]
    pub fn has_eyes(&self) -> bool {
        self.format == Format::Text && io::stdout().is_terminal()
    }

    /// A command's result.
    ///
    /// # Errors
    /// Standard output does not take it. (A reader that has seen enough, as `head` has, is none.)
    pub fn report(&self, report: &Report) -> io::Result<()> {
        let text =
            if self.format == Format::Json { format!("{:#}\n", report.json) } else { self.text(report) };
        self.verbatim(&text)
    }

    /// A text that is complete as it is: a report, help, the version.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub fn verbatim(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Results that are a line each, in a form of their own: what others wrote in them does not steer the terminal.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub fn lines(&self, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
        let lines: String = lines.into_iter().map(|line| clean(&line) + "\n").collect();
        self.verbatim(&lines)
    }

    /// Whether it is scripts that read.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A remark for eyes, beside the results.
    pub fn note(&self, line: &str) {
        if self.format == Format::Text && !self.quiet {
            say(&format!("{}\n", clean(line)));
        }
    }

    /// A line that somebody waits for: it is written however quiet.
    pub fn announce(&self, line: &str, json: &Value) {
        match self.format {
            Format::Text => say(&format!("{}\n", clean(line))),
            Format::Json => say(&format!("{json}\n")),
        }
    }

    /// What a question is about, and the question.
    pub fn ask(&self, facts: &[(&str, String)], question: &str) {
        say(&format!("{}\n{} ", rendered(&facts_table(facts.iter().cloned())), clean(question)));
    }

    /// How a command ended otherwise than well.
    pub fn stop(&self, stop: &Stop) {
        match self.format {
            Format::Text => say(&format!("{}\n", clean(&stop.text()))),
            Format::Json => say(&format!("{:#}\n", stop.json())),
        }
    }

    fn text(self, report: &Report) -> String {
        let table = report.body.as_ref().map(rendered);
        let mut lines = Vec::new();
        // Quiet is for what reads the table alone; where there is none, the sentence is the result.
        if !self.quiet || table.is_none() {
            lines.push(clean(&report.did));
        }
        lines.extend(table);
        lines.extend(report.picture.clone());
        lines.extend(
            report.next.as_ref().filter(|_| !self.quiet).map(|next| format!("Next: {}", clean(next))),
        );
        lines.join("\n") + "\n"
    }
}

/// To standard error; where that is closed, nobody is left to be told.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn facts_table<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = bare();
    for (name, value) in facts {
        table.add_row([cell(&format!("  {name}")), cell(&value)]);
    }
    table
}

/// Columns two spaces apart, starting at the margin: whole lines can be copied.
fn rendered(table: &Table) -> String {
    let mut table = table.clone();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table
}

fn cell(text: &str) -> Cell {
    Cell::new(clean(text))
}

/// A wire type that is one word, as it stands on the wire.
#[must_use]
pub fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Octets in hex.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A word as a shell takes it.
#[must_use]
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+=,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What others wrote (labels, reasons, names) must not steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// How many there are, as a list's headline: `No pairings.`, `1 pairing:`, `2 pairings:`.
pub(crate) fn count(n: usize, what: &str) -> String {
    match n {
        0 => format!("No {what}s."),
        1 => format!("1 {what}:"),
        n => format!("{n} {what}s:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_steer_the_terminal() {
        let mut list = List::new(&["label"]);
        list.row(&["phone\u{1b}[2J\u{7}".into()]);
        let shown = rendered(&list.0);
        assert!(shown.contains("phone\u{fffd}[2J\u{fffd}") && !shown.contains('\u{1b}'), "{shown:?}");
    }

    #[test]
    fn an_advised_command_can_be_pasted() {
        assert_eq!(shell("ann@example.org"), "ann@example.org");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn a_long_link_stays_on_its_line() {
        let link = "x".repeat(300);
        assert!(rendered(&facts_table([("link", link.clone())])).contains(&link));
    }
}
