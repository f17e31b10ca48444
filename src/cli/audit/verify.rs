//! `sidekey audit verify`: whether the log is what was written and signed.

use std::path::{Path, PathBuf};

use serde_json::json;
use sidekey_client::admin::AdminCredential;
use sidekey_protocol::audit::Checkpoint;
use sidekey_protocol::policy::key_id;
use sidekey_service::fault::Fault;
use sidekey_service::store::Store;

use crate::exit::{Exit, Stop};
use crate::output::{Report, hex, shell};
use crate::remote::{self, Admin};
use crate::serve::{chain, data_folder, store_fault};

/// Walk the whole chain, and hold it against every checkpoint: names the first record that is not as it was written
///
/// Reads the data folder, whether its service runs or not, and needs no key. Without a folder it asks the service, and
/// walks over what that shows. A checkpoint that was kept elsewhere (`sidekey audit checkpoint`) also finds an older copy
/// of the folder that was put back. Ends with 7 when something was edited, dropped, reordered, truncated or put back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Verify {
    /// The data folder [default: the one here, if there is one and no administrator is named]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A file of checkpoints that was kept elsewhere, one a line
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    #[command(flatten)]
    admin: Admin,
}

impl Verify {
    /// Does it.
    ///
    /// # Errors
    /// What is not as it was written.
    pub async fn run(self) -> Result<Report, Stop> {
        let mut against = Vec::new();
        for file in &self.against {
            against.extend(checkpoints(file)?);
        }
        let here =
            || Some(data_folder()).filter(|data| !self.admin.is_named() && data.join("journal").exists());
        match self.data.clone().or_else(here) {
            Some(data) => folder(data, against).await,
            None => self.service(&against).await,
        }
    }

    async fn service(&self, against: &[Checkpoint]) -> Result<Report, Stop> {
        let service = self.admin.open()?;
        let walked = service.audit_walk(against).await.map_err(remote::refusal)?;
        let (last, hash) = (walked.position.seq, hex(&walked.position.hash));
        let against = against.len() - walked.unseen;
        let json = json!({
            "last": last, "hash": hash, "against": against, "unseen": walked.unseen, "checkpoint": walked.checkpoint,
        });
        Ok(Report::new("The log is what the service signs, from its first record on.", json).facts([
            ("last record", last.to_string()),
            ("hash", hash),
            ("held against", format!("{against} checkpoints kept elsewhere{}", older(walked.unseen))),
        ]))
    }
}

/// How many checkpoints say nothing of what is kept.
fn older(unseen: usize) -> String {
    if unseen == 0 { String::new() } else { format!("; {unseen} are older than what is kept") }
}

async fn folder(data: PathBuf, against: Vec<Checkpoint>) -> Result<Report, Stop> {
    let (path, kept) = (data.clone(), against.len());
    let verify = move || Store::verify(&path, &against);
    let verified = tokio::task::spawn_blocking(verify).await;
    let verified = verified.map_err(|panic| Stop::new(Exit::Failed, "verify", panic))?;
    let verified = verified.map_err(|fault| broken(&fault, &data))?;
    let keys: Vec<String> = verified.keys.iter().map(key_id).collect();
    let known = AdminCredential::read(&data.join("admin.json")).ok().map(|admin| admin.service_key);
    let first = keys.first().and_then(|key| key.parse().ok());
    if let (Some(known), Some(first)) = (known, first)
        && known != first
    {
        let what =
            "the journal names another signing key of the service than admin.json: it is another service's";
        return Err(Stop::new(Exit::Unverified, "audit_broken", what).next(EVIDENCE));
    }
    let hash = hex(&verified.hash);
    let json = json!({
        "first": verified.first, "last": verified.last, "hash": hash, "checkpoints": verified.checkpoints,
        "unseen": verified.unseen, "signed": verified.signed, "against": kept, "keys": keys,
    });
    let report = Report::new("The log is what was written.", json).facts([
        ("records", format!("{} to {}", verified.first, verified.last)),
        ("hash", hash),
        (
            "checkpoints",
            format!("{}{}, of {kept} kept elsewhere", verified.checkpoints, older(verified.unseen)),
        ),
        ("signed up to", verified.signed.to_string()),
        ("signing keys", keys.join(", ")),
    ]);
    Ok(report.next("sidekey audit checkpoint > FILE, and keep that on another machine, for --against"))
}

fn broken(fault: &Fault, data: &Path) -> Stop {
    match fault {
        Fault::Corrupt { record, damage, .. } => {
            let what = format!("the log is not what was written: record {record} {damage}");
            let stop = Stop::new(Exit::Unverified, "audit_broken", what).with("record", *record);
            stop.with("damage", damage.to_string()).next(EVIDENCE)
        }
        fault => store_fault(fault, chain(fault), data),
    }
}

/// Those of a file, which must all be some.
fn checkpoints(file: &Path) -> Result<Vec<Checkpoint>, Stop> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Stop::new(Exit::NotFound, "checkpoint_unreadable", format!("cannot read {shown}: {error}"))
            .next(format!("sidekey audit checkpoint > {}", shell(&shown.to_string())))
    })?;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        found.push(Checkpoint::read(line).map_err(|reject| {
            Stop::new(
                Exit::Unverified,
                "checkpoint_invalid",
                format!("{shown} holds no checkpoint: {reject}"),
            )
            .next("name a file that `sidekey audit checkpoint` wrote")
        })?);
    }
    if found.is_empty() {
        return Err(Stop::new(Exit::Usage, "checkpoint_invalid", format!("{shown} holds no checkpoint"))
            .next("name a file that `sidekey audit checkpoint` wrote"));
    }
    Ok(found)
}

const EVIDENCE: &str = "keep this folder as evidence, and restore it from the newest backup that verifies";

const EXAMPLES: &str = "\
Examples:
  sidekey audit verify
  sidekey audit verify --data /var/lib/sidekey --against kept.jws -o json
  sidekey audit verify --profile work --against kept.jws";
