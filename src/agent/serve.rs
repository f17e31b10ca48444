//! An agent from its start to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::Control;
use crate::listener::{Arrived, Listener, LoggedIn};
use crate::relay::{End, Relay};
use crate::session::Session;
use crate::work::{Agent, Connection};

/// Why an agent has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stopped {
    /// It was told to.
    Told,
    /// Its pairing is over: nothing would open any more.
    Over(Arc<str>),
}

/// Takes connections until it is told to stop or the pairing is over. Connections then end between two commands of
/// their programs, and after `drain_s` in any case.
pub async fn serve(
    agent: Arc<Agent>,
    listener: Listener,
    control: Control,
    stop: impl Future<Output = ()> + Send,
) -> Stopped {
    let room = Arc::new(Semaphore::new(agent.config.limits.connections as usize));
    let mut connections = JoinSet::new();
    let controlling = tokio::spawn(control.serve(Arc::clone(&agent)));
    let mut stop = std::pin::pin!(stop);
    let over = Arc::clone(&agent);
    let mut over = std::pin::pin!(over.over());
    let stopped = loop {
        tokio::select! {
            biased;
            () = &mut stop => break Stopped::Told,
            why = &mut over => break Stopped::Over(why),
            arrived = listener.accept() => match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => {
                    let agent = Arc::clone(&agent);
                    connections.spawn(async move {
                        connection(agent, arrived).await;
                        drop(permit);
                    });
                }
                Err(_) => {
                    tracing::warn!("too many connections: limits.connections");
                    connections.spawn(arrived.turn_away());
                }
            },
            Some(_) = connections.join_next() => {}
        }
    };
    drop(listener);
    agent.stop();
    let drain = Duration::from_secs(agent.config.limits.drain_s.into());
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(drain, drained).await.is_err() {
        tracing::warn!(connections = agent.live(), "not done by the deadline: they are cut");
    }
    controlling.abort();
    stopped
}

/// One connection, from its greeting to its end.
async fn connection(agent: Arc<Agent>, arrived: Arrived) {
    let connection = Connection::begin(agent);
    let entering = arrived.log_in(&connection.agent, connection.number);
    let logged_in = tokio::select! {
        biased;
        _ = connection.over() => None,
        () = connection.stopping() => None,
        logged_in = entering => logged_in,
    };
    let Some(LoggedIn { mut program, reader, input, upstream }) = logged_in else { return };
    let agent = &connection.agent;
    tracing::info!(connection = connection.number, "a mail program has logged in");
    let rng = (agent.randomness)();
    let end = match Session::begin(reader, agent.settings(), &upstream.capabilities, rng) {
        Ok(session) => {
            let idle = Duration::from_secs(agent.config.limits.idle_s.into());
            let relay = Relay::new(session, (program, input), (upstream.stream, upstream.input), &connection);
            relay.run(idle).await
        }
        Err(alert) => {
            connection.raise(&alert);
            crate::listener::say_bye(&mut *program, &alert.to_string()).await;
            End::Ended(crate::session::Ended::Alert(alert))
        }
    };
    match &end {
        End::Closed(why) => tracing::info!(connection = connection.number, end = end.name(), reason = &**why),
        end => tracing::info!(connection = connection.number, end = end.name(), "a connection is over"),
    }
}
