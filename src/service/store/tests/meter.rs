//! What the store counts, as it is shown.

use sidekey_protocol::ids::Role;
use sidekey_protocol::revocation::Target;

use super::super::Meter;
use super::engine::reopened;
use super::{ADMIN, Data, elsewhere, open, server, user};
use crate::metrics::{Figures, Metrics};

fn measured(data: &Data) -> Metrics {
    let metrics = Metrics::new();
    data.store.measure(Meter::new(metrics.registry()));
    metrics
}

fn shown(metrics: &Metrics) -> String {
    let figures = Figures {
        pairings_active: 0,
        store_size_bytes: 0,
        store_free_bytes: None,
        open: true,
        certificate_not_after: 0,
        signing_key_age_s: 0,
    };
    metrics.render(&figures)
}

#[track_caller]
fn assert_shown(metrics: &Metrics, lines: &[&str]) {
    let text = shown(metrics);
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn what_takes_effect_is_counted_by_its_kind() {
    let mut data = Data::with_users(3).await;
    let metrics = measured(&data);
    data.pair_with(1, "C20P").await.unwrap();
    for n in [0, 1, 2] {
        data.open(user(n), n.into()).await.unwrap();
    }
    assert_shown(
        &metrics,
        &[
            r#"sidekey_pairings_total{state="confirmed"} 1"#,
            r#"sidekey_keys_issued_total{alg="A256GCM"} 2"#,
            r#"sidekey_keys_issued_total{alg="C20P"} 1"#,
        ],
    );
    let targets = [
        Target::Invitation { invitation: data.invite(Role::Client, Some(user(0))).await },
        Target::Session { session: data.store.sessions_of(&server(), &user(0))[0].id },
        Target::Credential { credential: data.issue(user(0), "push", None).await.unwrap().0.id },
        Target::Pairing { pairing: data.phone(1) },
        Target::User { server: server(), user: user(2) },
        Target::Server { server: server() },
    ];
    for target in targets {
        data.store.revoke(ADMIN, target, "lost".parse().unwrap()).await.unwrap();
    }
    let line = |scope| format!(r#"sidekey_revocations_total{{scope="{scope}"}} 1"#);
    let lines = ["invitation", "session", "credential", "pairing", "user", "server"].map(line);
    assert_shown(&metrics, &lines.each_ref().map(String::as_str));
}

#[tokio::test]
async fn batches_that_went_through_and_those_that_could_not_be_written_are_counted() {
    let mut data = Data::new();
    let metrics = measured(&data);
    data.store.add_server(ADMIN, server()).await.unwrap();
    data.store.close().await;
    assert_shown(
        &metrics,
        &[
            "sidekey_audit_records_total 1",
            "sidekey_audit_write_errors_total 0",
            r#"sidekey_store_op_duration_seconds_count{op="commit"} 1"#,
        ],
    );
    reopened(&mut data, |data| {
        open(data.folder.path(), &data.clock, &data.fenced, |journal| journal.syncs_until_failure = Some(0))
    })
    .await;
    let metrics = measured(&data);
    data.store.add_server(ADMIN, elsewhere()).await.unwrap_err();
    assert_shown(&metrics, &["sidekey_audit_records_total 0", "sidekey_audit_write_errors_total 1"]);
}

#[tokio::test]
async fn what_is_written_behind_is_timed() {
    let data = Data::new();
    let metrics = measured(&data);
    data.store.add_server(ADMIN, server()).await.unwrap();
    data.store.close().await;
    let (text, name) = (shown(&metrics), r#"sidekey_store_op_duration_seconds_count{op="write_behind"} "#);
    let times = text.lines().find_map(|line| line.strip_prefix(name));
    assert!(times.is_some_and(|times| times != "0"), "{text}");
}

#[tokio::test]
async fn what_is_looked_up_is_as_it_is_now() {
    let data = Data::with_users(2).await;
    assert_eq!(data.store.pairings_active(), 3, "an administrator's is none");
    let target = Target::User { server: server(), user: user(0) };
    data.clock.advance_s(10);
    assert_eq!(data.store.sealing_key_age_s(), 10);
    data.store.revoke(ADMIN, target, "left us".parse().unwrap()).await.unwrap();
    assert_eq!((data.store.pairings_active(), data.store.sealing_key_age_s()), (2, 0));
}
