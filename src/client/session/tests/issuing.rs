//! What a mail server is given.

use super::*;

#[tokio::test]
async fn a_server_issues_keeps_rotates_and_ends() {
    let script =
        Script::start(|_, request| match request.split(' ').take(2).collect::<Vec<_>>().as_slice() {
            ["POST", "/v1/sessions"] => sealed(|_| {}),
            ["POST", _] => sealed(|b| b.generation = 1),
            _ => Answer::Octets("HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        })
        .await;
    let server = server(&script).await;
    let audience = Audience::User("ann@example.org".parse().unwrap());
    let capabilities = Capabilities::parse(&["A256GCM", "C20P"]).unwrap();
    let issued = server.issue(&audience, Some(600), &capabilities).await.unwrap();
    assert_eq!(server.session_key(issued.session()).await.unwrap().generation(), 0);
    server.rotate(issued.session()).await.unwrap();
    assert_eq!(server.session_key(issued.session()).await.unwrap().generation(), 1);
    server.end(issued.session()).await.unwrap();
    let requests = script.requests();
    assert_eq!(requests.len(), 3);
    let body = r#"{"user":"ann@example.org","ttl":600,"capabilities":["A256GCM","C20P"],"deliver":[]}"#;
    assert!(requests[0].ends_with(body), "{}", requests[0]);
    assert!(requests[0].contains("\r\nidempotency-key: "));
}

#[tokio::test]
async fn a_server_is_not_given_a_session_that_it_did_not_ask_for() {
    let script = Script::start(|_, _| sealed(|_| {})).await;
    let server = server(&script).await;
    let ann = Audience::User("ann@example.org".parse().unwrap());
    let fewer = Capabilities::parse(&["A256GCM"]).unwrap();
    is_downgrade(&server.issue(&ann, None, &fewer).await.unwrap_err(), Reject::CapabilitiesForeign);
    let both = Capabilities::parse(&["A256GCM", "C20P"]).unwrap();
    let eve = Audience::User("eve@example.org".parse().unwrap());
    is_tampered(&server.issue(&eve, None, &both).await.unwrap_err(), Reject::UserForeign);
}

#[tokio::test]
async fn a_revoked_device_is_not_taken_for_the_server_itself() {
    let revoked = || problem(410, &json!({ "code": "revoked", "reason": "lost", "revoked_at": 7 }));
    let issue = async |script: Script| {
        let capabilities = Capabilities::parse(&["A256GCM"]).unwrap();
        server(&script).await.issue(&Audience::Pairing(PAIRING), None, &capabilities).await.unwrap_err()
    };
    let device = Script::start(move |_, request| {
        if request.starts_with("POST") { revoked() } else { problem(200, &json!({ "state": "active" })) }
    });
    assert!(matches!(issue(device.await).await, Error::Refused { code, .. } if code == "pairing_revoked"));
    let itself = Script::start(move |_, _| revoked());
    assert!(matches!(issue(itself.await).await, Error::Revoked { .. }));
}
