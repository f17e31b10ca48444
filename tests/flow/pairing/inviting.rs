//! What an administrator may ask for, and nobody else.

use super::*;

async fn refused(system: &System, body: Value, status: u16, code: &str) {
    let before = system.records();
    system.post("/v1/invitations", &system.admin_token(), &body).send().await.refused(status, code);
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn a_server_that_was_never_added_is_refused() {
    let (system, _) = invited().await;
    refused(&system, json!({"role": "server", "server": "nobody.example"}), 404, "not_found").await;
}

#[tokio::test]
async fn a_client_without_user_is_refused() {
    let (system, _) = invited().await;
    refused(&system, json!({"role": "client", "server": MAIL}), 422, "user_mismatch").await;
}

#[tokio::test]
async fn a_server_with_user_is_refused() {
    let (system, _) = invited().await;
    refused(&system, json!({"role": "server", "server": MAIL, "user": ANN}), 422, "user_mismatch").await;
}

#[tokio::test]
async fn a_time_below_a_minute_or_beyond_a_quarter_of_an_hour_is_refused() {
    let (system, _) = invited().await;
    let ask = |ttl: u32| json!({"role": "client", "server": MAIL, "user": ANN, "ttl": ttl});
    refused(&system, ask(59), 422, "ttl_out_of_range").await;
    refused(&system, ask(901), 422, "ttl_out_of_range").await;
}

#[tokio::test]
async fn an_unknown_role_is_refused() {
    let (system, _) = invited().await;
    refused(&system, json!({"role": "admin", "server": MAIL}), 400, "body_invalid").await;
}

#[tokio::test]
async fn nobody_but_the_administrator_invites_or_adds_or_lists() {
    let system = System::start().await;
    system.add_server(MAIL).await;
    let phone = system.pair_client(MAIL, ANN).await;
    let mail = system.pair_server(MAIL).await;
    for token in [phone.keys.token(), mail.keys.token()] {
        // A pairing's first request leaves a record.
        system.get("/v1/pairings/self", &token).send().await.is(200);
        let before = system.records();
        let invite = json!({"role": "client", "server": MAIL, "user": ANN});
        system.post("/v1/invitations", &token, &invite).send().await.refused(403, "role_forbidden");
        let add = json!({"name": "other.example"});
        system.post("/v1/servers", &token, &add).send().await.refused(403, "role_forbidden");
        for path in ["/v1/servers", "/v1/invitations"] {
            system.get(path, &token).send().await.refused(403, "role_forbidden");
            system.ask(Method::GET, path).send().await.refused(401, "token_missing");
        }
        assert_eq!(system.records(), before);
    }
}

#[tokio::test]
async fn a_server_of_that_name_is_not_added_twice() {
    let (system, _) = invited().await;
    let before = system.records();
    let again = json!({"name": MAIL});
    system.post("/v1/servers", &system.admin_token(), &again).send().await.refused(409, "server_exists");
    assert_eq!(system.records(), before);
}
