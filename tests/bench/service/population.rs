//! A service with users, who have sessions, made as its mail server makes them: in batches, over HTTPS.

use std::cell::Cell;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sidekey_client::protocol::session::wire::Sessions;

use super::load::{Asked, Door, Process};
use super::table::Protocol;
use crate::enterprise::Enterprise;

/// One service of the built binary, and a hundred users with a device each.
pub(crate) struct Population {
    pub(crate) enterprise: Enterprise,
    pub(crate) door: Door,
    pub(crate) process: Process,
}

impl Population {
    pub(crate) async fn settle() -> Self {
        let enterprise = Enterprise::start("").await;
        for n in 0..USERS {
            enterprise.device(&format!("user{n:02}")).await;
        }
        let (door, process) = (Door::of(&enterprise).await, Process::of(enterprise.pid()));
        Self { enterprise, door, process }
    }

    /// So many sessions more, for a day.
    pub(crate) async fn fill(&self, sessions: usize) {
        let (next, body) = (Cell::new(0), batch(86_400));
        let side = async |_| {
            let mut connection = self.door.open(Protocol::Http1).await;
            while next.get() < sessions / USERS {
                let once = format!("filled-{:025}", next.replace(next.get() + 1));
                connection.read(Asked::post(BATCH, once, &body)).await;
            }
        };
        join_all((0..SIDES).map(side)).await;
    }

    /// Fetches keys of sessions that some of the users have, here and there among all.
    pub(crate) async fn fetch(&self) -> impl Fn(usize) -> Asked + use<> {
        let mut connection = self.door.open(Protocol::Http1).await;
        let mut paths = Vec::new();
        for n in 0..ASKED_USERS {
            let path = format!("/v1/sessions/current?user=user{n:02}%40example.org");
            let sessions: Sessions = connection.json(&path).await;
            paths.extend(sessions.items.iter().map(|seen| format!("/v1/sessions/{}/key", seen.session)));
        }
        move |n| Asked::get(paths[n * STRIDE % paths.len()].clone())
    }

    /// What the key of such a session comes in.
    pub(crate) async fn answer_size(&self) -> usize {
        let fetch = self.fetch().await;
        self.door.open(Protocol::Http1).await.read(fetch(0)).await.len()
    }

    /// What the process holds, in octets.
    pub(crate) fn resident(&self) -> f64 {
        self.enterprise.serving.memory("VmRSS") as f64 * 1024.0
    }
}

/// Opens one session after another, each for another user, for a minute.
pub(crate) fn issue(run: String) -> impl Fn(usize) -> Asked {
    let bodies: Vec<Bytes> = (0..USERS).map(|n| body(&one(n), 60)).collect();
    move |n| Asked::post("/v1/sessions", format!("{run}-{n:016}"), &bodies[n % USERS])
}

/// Opens one for each of the users.
pub(crate) fn batches(run: String) -> impl Fn(usize) -> Asked {
    let body = batch(60);
    move |n| Asked::post(BATCH, format!("{run}-{n:016}"), &body)
}

fn batch(ttl: u32) -> Bytes {
    body(&json!({ "audiences": (0..USERS).map(one).collect::<Vec<_>>() }), ttl)
}

fn one(n: usize) -> Value {
    json!({ "user": format!("user{n:02}@example.org") })
}

fn body(whom: &Value, ttl: u32) -> Bytes {
    let mut body = whom.clone();
    body["capabilities"] = json!(["A256GCM"]);
    body["ttl"] = ttl.into();
    body.to_string().into()
}

/// As many as sessions in a batch.
pub(crate) const USERS: usize = 100;
/// Whose sessions are asked for.
const ASKED_USERS: usize = 8;
/// A prime: sessions that are asked for one after another were not opened together.
const STRIDE: usize = 7919;
const SIDES: usize = 8;
const BATCH: &str = "/v1/sessions/batch";
