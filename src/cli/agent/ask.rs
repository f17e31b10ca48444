//! `sidekey agent status` and `confirm`: asked of the agent that runs.

use serde_json::json;
use sidekey_agent::control::{Answer, Ask, Status, ask};

use super::folder;
use crate::confirm::Confirm;
use crate::exit::{Exit, Stop};
use crate::output::{List, Report, Screen};
use crate::profile::Profile;

/// How the agent is.
pub(super) fn status(profile: &Profile) -> Result<Report, Stop> {
    let status = asked(profile)?;
    let mut list = List::new(&["what", "count"]);
    list.row(&["connections".to_owned(), status.connections.to_string()]);
    for (name, count) in &status.alerts {
        list.row(&[name.replace('_', " "), count.to_string()]);
    }
    for held in &status.held {
        list.row(&[format!("held as {}: messages that vanish", held.id), held.messages.to_string()]);
    }
    let did = format!("The agent runs as process {}.", status.pid);
    let report = Report::new(did, json!(status)).list(list);
    Ok(match status.held.first() {
        Some(held) => report.next(format!("sidekey agent confirm {}{}", held.id, profile.option())),
        None => report,
    })
}

/// Says whether messages may vanish.
pub(super) fn confirm(
    id: Option<u64>,
    confirmed: bool,
    profile: &Profile,
    confirm: Confirm,
    screen: Screen,
) -> Result<Report, Stop> {
    let held = asked(profile)?.held;
    let gone = || {
        Stop::new(Exit::NotFound, "not_held", "nothing is held by that id: its time may be up")
            .next(format!("sidekey agent status{}", profile.option()))
    };
    let meant = match (id, held.as_slice()) {
        (Some(id), held) => *held.iter().find(|held| held.id == id).ok_or_else(gone)?,
        (None, [one]) => *one,
        (None, []) => {
            return Err(Stop::new(Exit::NotFound, "not_held", "nothing waits to be confirmed"));
        }
        (None, several) => {
            let what = format!("{} waits for a word: name one", several.len());
            return Err(Stop::new(Exit::Conflict, "held_ambiguous", what)
                .next(format!("sidekey agent status{}", profile.option())));
        }
    };
    // To keep messages destroys nothing.
    if confirmed {
        let facts = [("held as", meant.id.to_string()), ("messages that vanish", meant.messages.to_string())];
        confirm.ask(screen, &facts)?;
    }
    match answer(profile, Ask::Say { id: meant.id, confirmed })? {
        Answer::Said(held) => {
            let did = match confirmed {
                true => format!("{} messages may be gone: the mail program is told.", held.messages),
                false => "The mail program keeps what it has; its connection ends.".to_owned(),
            };
            let json = json!({ "held": held.id, "messages": held.messages, "confirmed": confirmed });
            Ok(Report::new(did, json))
        }
        _ => Err(gone()),
    }
}

fn asked(profile: &Profile) -> Result<Status, Stop> {
    match answer(profile, Ask::Status)? {
        Answer::Status(status) => Ok(status),
        _ => Err(Stop::new(Exit::Failed, "agent_answer", "the agent that runs does not say how it is")),
    }
}

fn answer(profile: &Profile, what: Ask) -> Result<Answer, Stop> {
    profile.file()?;
    let folder = folder(profile)?;
    let answer = ask(&folder, what).map_err(|error| {
        Stop::new(Exit::Failed, "agent_answer", format!("the agent that runs does not answer: {error}"))
    })?;
    answer.ok_or_else(|| {
        let what = format!("no agent runs for the profile {}", profile.name());
        Stop::new(Exit::NotFound, "agent_not_running", what)
            .next(format!("sidekey agent{}", profile.option()))
    })
}
