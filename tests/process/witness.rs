//! Users of a service that is killed while they use it, and what they were told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::de::IgnoredAny;
use serde_json::json;
use sidekey_client::admin::{Admin, AdminCredential};
use sidekey_client::protocol::ids::{Role, SessionId, UserName};
use sidekey_client::protocol::revocation::Target;
use sidekey_client::protocol::session::wire::SessionKey;
use sidekey_client::{Ambient, Client, Error, Server};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::disk::Dice;
use crate::linear::{Answer, History, Op, Who};
use crate::load::paired;

/// The enterprise: an administrator, a gateway, and users as they come.
pub(crate) struct Enterprise {
    runtime: Runtime,
    admin: Admin,
    gateway: Server,
    credential: AdminCredential,
}

/// A user with two devices, of which one will be revoked, and one session.
pub(crate) struct User {
    name: UserName,
    lost: Client,
    kept: Client,
    session: watch::Sender<Option<SessionId>>,
    pub(crate) history: History,
}

impl Enterprise {
    /// Pairs a gateway at the service of `data`.
    pub(crate) fn prepare(data: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let read = || AdminCredential::read(&data.join("admin.json")).unwrap();
        let (runtime, admin) = (runtime.unwrap(), Admin::new(read(), Ambient::system()).unwrap());
        let gateway = runtime.block_on(async {
            admin.add_server(&crate::load::server()).await.unwrap();
            let store = paired(&admin, read().roots, Role::Server, None).await.unwrap();
            Server::open(store, Ambient::system()).await.unwrap()
        });
        Self { runtime, admin, gateway, credential: read() }
    }

    /// A user whom nobody knew before.
    pub(crate) fn user(&self, name: &str) -> Arc<User> {
        let name: UserName = name.parse().unwrap();
        let device = async || {
            let roots = self.credential.roots.clone();
            let store = paired(&self.admin, roots, Role::Client, Some(name.clone())).await.unwrap();
            Client::open(store, Ambient::system()).await.unwrap()
        };
        let (lost, kept) = self.runtime.block_on(async { (device().await, device().await) });
        let (session, history) = (watch::Sender::new(None), History::default());
        Arc::new(User { name, lost, kept, session, history })
    }

    /// Everybody does what they do, for so long; who has no answer by then never gets one.
    pub(crate) fn act(self: &Arc<Self>, users: &[Arc<User>], round: u32, dice: &mut Dice, time: Duration) {
        let mut all: Vec<JoinHandle<()>> = Vec::new();
        for user in users {
            for (number, (ops, pause)) in (0..).zip(errands(round, dice)) {
                let (enterprise, user, by) = (self.clone(), user.clone(), round * ERRANDS + number);
                all.push(self.runtime.spawn(async move { enterprise.errand(&user, by, &ops, pause).await }));
            }
        }
        self.runtime.block_on(async {
            let until = tokio::time::Instant::now() + time;
            for errand in &mut all {
                let _ = tokio::time::timeout_at(until, errand).await;
            }
            all.iter().for_each(JoinHandle::abort);
        });
    }

    /// One thing after another, until one is not answered.
    async fn errand(&self, user: &User, by: u32, ops: &[Op], pause: Duration) {
        for &op in ops {
            let session = match op {
                Op::Open | Op::Revoke => None,
                _ => *user.session.subscribe().wait_for(Option::is_some).await.unwrap(),
            };
            tokio::time::sleep(pause).await;
            user.history.asks(by, op);
            let Some(answer) = self.ask(user, op, session).await else { return };
            user.history.is_answered(by, op, answer);
            if let Answer::Opened(id) = answer {
                user.session.send_replace(Some(id));
            }
        }
    }

    async fn ask(&self, user: &User, op: Op, session: Option<SessionId>) -> Option<Answer> {
        let path = |of: &str| format!("/v1/sessions/{}{of}", session.unwrap());
        let generation = |key: SessionKey| Answer::Key(key.generation);
        match op {
            Op::Open => {
                let call = self.gateway.transport().call(Method::POST, "/v1/sessions");
                let asked = json!({ "user": user.name, "capabilities": ["A256GCM"] });
                let once = format!("once and for all {}", user.name).replace(' ', "-");
                let call = call.json(&asked).idempotency_key(once);
                told(call.send().await, |key: SessionKey| Answer::Opened(key.session))
            }
            Op::Read(who) => {
                let transport = match who {
                    Who::Lost => user.lost.transport(),
                    Who::Kept => user.kept.transport(),
                    Who::Server => self.gateway.transport(),
                };
                told(transport.call(Method::GET, path("/key")).send().await, generation)
            }
            Op::Rotate => {
                let call = self.gateway.transport().call(Method::POST, path("/rotate"));
                told(call.json(&json!({})).send().await, generation)
            }
            Op::End => {
                let call = self.gateway.transport().call(Method::DELETE, path(""));
                told(call.send_optional::<IgnoredAny>().await, |_| Answer::Done)
            }
            Op::Revoke => {
                let target = Target::Pairing { pairing: user.lost.pairing() };
                let already = |answer: Option<_>| answer.map_or(Answer::Over, |_| Answer::Done);
                told(self.admin.revoke(&target, &"lost".parse().unwrap()).await, already)
            }
        }
    }
}

/// What a party was told; `None` when it does not know what became of it.
fn told<T>(result: Result<T, Error>, answer: impl FnOnce(T) -> Answer) -> Option<Answer> {
    match result {
        Ok(told) => Some(answer(told)),
        Err(Error::Expired) => Some(Answer::Over),
        Err(Error::Revoked { .. }) => Some(Answer::Revoked),
        Err(error @ Error::Refused { .. }) => panic!("{error}"),
        Err(_) => None,
    }
}

/// What is done about one user at the same time, each with a pause before everything: by two threads of the gateway, by both
/// devices, and by the administrator, who revokes one of them.
fn errands(round: u32, dice: &mut Dice) -> [(Vec<Op>, Duration); ERRANDS as usize] {
    let mut gateway = |last: Option<Op>| {
        let mut ops = vec![Op::Open];
        ops.extend((0..TIMES).map(|_| match dice.roll(8) {
            0 => Op::Open,
            1..=3 => Op::Rotate,
            _ => Op::Read(Who::Server),
        }));
        ops.extend(last);
        ops
    };
    let first = gateway(None);
    let second = gateway((round > 0).then_some(Op::End));
    let [lost, kept] = [Who::Lost, Who::Kept].map(|who| vec![Op::Read(who); TIMES]);
    let mut paced = |ops, most_ms| (ops, Duration::from_millis(2 + dice.roll(most_ms)));
    let revokes = paced(vec![Op::Revoke], 300);
    let [first, second, lost, kept] = [first, second, lost, kept].map(|ops| paced(ops, 12));
    [first, second, lost, kept, revokes]
}

/// Who acts for one user.
const ERRANDS: u32 = 5;
/// How often each does something in one round.
const TIMES: usize = 10;
