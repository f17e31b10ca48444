//! Keys that are asked for while they are revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Eight times at once: a session is opened and revoked while a device fetches its key without a pause. What is asked
/// for after the acknowledgement is refused, in each of a thousand trials.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_issued_after_the_acknowledgement() {
    const WORKERS: usize = 8;
    const TRIALS: usize = 125;
    let office = Arc::new(Office::open().await);
    // Signed once: what is measured is the service.
    let tokens = [office.mail.keys.token(), office.phone.keys.token(), office.system.admin_token()];
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (office, [mail, phone, admin]) = (office.clone(), tokens.clone());
            tokio::spawn(async move {
                let body = json!({"user": ANN, "capabilities": ["A256GCM"]});
                for trial in 0..TRIALS {
                    let once = format!("worker-{worker:04}-{trial:04}");
                    let opened = office.system.post("/v1/sessions", &mail, &body).once(&once).send().await;
                    let session: SessionId =
                        opened.is(201).json()["session"].as_str().unwrap().parse().unwrap();
                    // On its way together with the revocation: before or after it, nobody knows.
                    let racing = tokio::spawn(office.fetch(session, "", &phone).send());
                    let revoke = json!({"target": {"kind": "session", "session": session}, "reason": "over"});
                    let revoked = office.system.post("/v1/revocations", &admin, &revoke).send().await;
                    assert_eq!(revoked.is(200).json()["sessions_ended"], 1);
                    office.fetch(session, "", &phone).send().await.refused(410, "session_ended");
                    let raced = racing.await.unwrap();
                    if raced.status != 200 {
                        raced.refused(410, "session_ended");
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(office.phone.client.current().await.unwrap().is_empty());
    let session = office.session().await.session();
    office.phone.client.session_key(session).await.unwrap();
    let shown = office.phone.keys.profile().head.highest().unwrap();
    assert_eq!(shown.n(), (WORKERS * TRIALS) as u64);
}

/// The same of devices, each with a token that the service took a moment ago, while their server issues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_device_gets_a_key_after_its_revocation_while_its_server_issues() {
    const TRIALS: u32 = 20;
    let office = Arc::new(Office::open().await);
    let session = office.session().await.session();
    let mut devices = Vec::new();
    for _ in 0..TRIALS {
        devices.push(office.system.pair_client(MAIL, ANN).await);
    }
    let over = Arc::new(AtomicBool::new(false));
    let issuing = tokio::spawn({
        let (office, over) = (office.clone(), over.clone());
        async move {
            let body = json!({"user": ANN, "capabilities": ["A256GCM"], "ttl": 60});
            let mut issued = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let answer = office.open_session(&format!("issuing-{issued:08}"), &body).send().await;
                answer.is(201);
                issued += 1;
            }
            issued
        }
    });
    for (generation, device) in (0..).zip(&devices) {
        let token = device.keys.token();
        office.fetch(session, "", &token).send().await.is(200);
        let racing = tokio::spawn(office.fetch(session, "", &token).send());
        office.revoke(&pairing(device)).send().await.is(200);
        office.fetch(session, "", &token).send().await.refused(410, "revoked");
        let raced = racing.await.unwrap();
        if raced.status == 200 {
            // Before the revocation, then: the key that it brought is for the others.
            assert_eq!(raced.json()["generation"], generation);
        } else {
            raced.refused(410, "revoked");
        }
    }
    over.store(true, Ordering::Relaxed);
    assert!(issuing.await.unwrap() > 0, "nothing was issued meanwhile");
    let left = office.fetch(session, "", &office.tablet.keys.token()).send().await.is(200).json();
    assert_eq!(left["generation"], TRIALS);
}
