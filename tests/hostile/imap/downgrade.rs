//! Less than what was agreed. (An old policy, an old list and an old offer come by HTTPS: `tests/flow`.)

use sidekey_tests::imap::liar::{contains, frames, replacing, where_it_says};

use super::*;

#[tokio::test]
async fn xencrypted_struck_out_of_what_the_gateway_offers() {
    let scene = Scene::open().await;
    let before = scene.kept().await;
    scene.liar.answers(replacing(&[
        (" XENCRYPTED=A256GCM", ""),
        (" XENCRYPTED=C20P", ""),
        (" XENCRYPTED", ""),
    ]));
    let mut program = Session::connect(scene.agent.account.port).await;
    let Account { user, password, .. } = &scene.agent.account;
    let told = program.ask(&format!("LOGIN {user} {password}")).await
        + &String::from_utf8_lossy(&program.rest().await);
    assert!(
        told.contains("does not offer encryption, which your policy requires; nothing was read"),
        "{told}"
    );
    assert_eq!(scene.raised(), ["downgrade/not_offered"]);
    assert!(scene.liar.asked().iter().all(|said| !contains(said, b"SELECT")), "nothing was asked");
    assert_eq!(scene.kept().await, before);
}

/// The list is a hint: what holds is what the key was issued with.
#[tokio::test]
async fn suites_struck_out_reordered_and_added() {
    let scene = Scene::open().await;
    for (from, to) in [
        (" XENCRYPTED=C20P", ""),
        (" XENCRYPTED=A256GCM", ""),
        (" XENCRYPTED=A256GCM", " XENCRYPTED=3DES XENCRYPTED=RC4"),
        (" XENCRYPTED=A256GCM XENCRYPTED=C20P", " XENCRYPTED=C20P XENCRYPTED=A256GCM"),
        (" XENCRYPTED=A256GCM XENCRYPTED=C20P", " XENCRYPTED=3DES"),
    ] {
        scene.liar.answers(replacing(&[(from, to)]));
        let mut program = scene.reader().await;
        let heard = scene.liar.heard();
        let frame = frames(heard.iter().rfind(|said| contains(said, b"BODY[]")).unwrap())[0].clone();
        assert_eq!(frame[4], 1, "sealed with A256GCM, as the policy says");
        let listed = program.ask("CAPABILITY").await;
        assert!(!listed.contains("3DES") && !listed.contains("XENCRYPTED"), "{listed}");
        assert_eq!(scene.raised(), [""; 0], "{to}");
        scene.liar.repent();
    }
}

#[tokio::test]
async fn a_session_announced_that_is_none() {
    let scene = Scene::open().await;
    let announced = "* OK [XENCRYPTED session=";
    for forged in ["0123456789abcdef0123456789abcdef", "ffffffffffffffffffffffffffffffff"] {
        let line = format!("* OK [XENCRYPTED session={forged} generation=7] sealed\r\n");
        scene.liar.answers(move |said| {
            if said.starts_with(announced.as_bytes()) { line.clone().into_bytes() } else { said }
        });
        let mut program = scene.program().await;
        let told = program.ask("APPEND INBOX {13+}\r\nSubject: me\r\n").await;
        assert!(told.contains(" OK [APPENDUID "), "the newest live session is used: {told}");
        assert!(program.ask("SEARCH SUBJECT me").await.contains("* SEARCH 1 2 3 4"), "and strings are found");
        assert_eq!(scene.raised(), [""; 0]);
        scene.liar.repent();
    }
}

#[tokio::test]
async fn another_server_s_capabilities() {
    let scene = Scene::open().await;
    let theirs =
        [(" XENCRYPTED=A256GCM", " SORT"), (" XENCRYPTED=C20P", " NOTIFY"), (" XENCRYPTED", " URLAUTH")];
    scene.liar.answers(replacing(&theirs));
    let mut program = Session::connect(scene.agent.account.port).await;
    let Account { user, password, .. } = &scene.agent.account;
    let told = program.ask(&format!("LOGIN {user} {password}")).await
        + &String::from_utf8_lossy(&program.rest().await);
    assert!(told.contains("Your operator's own mail server answers instead of your enterprise's"), "{told}");
    assert_eq!(scene.raised(), ["reterminated/capabilities"]);
}

#[tokio::test]
async fn responses_put_before_the_login_and_before_enable() {
    let scene = Scene::open().await;
    // Before the greeting, and before the answer to the login.
    for injected in
        ["* 99 EXISTS\r\n* CAPABILITY IMAP4rev1 SORT\r\n", "* OK [ALERT] merger\r\n* ENABLED UTF8=ACCEPT\r\n"]
    {
        scene.liar.answers(move |said| [injected.as_bytes(), &said].concat());
        let mut program = Session::connect(scene.agent.account.port).await;
        scene.liar.answers(move |said| {
            if contains(&said, b" OK [CAPABILITY") { [injected.as_bytes(), &said].concat() } else { said }
        });
        let Account { user, password, .. } = &scene.agent.account;
        let told = program.ask(&format!("LOGIN {user} {password}")).await;
        assert!(!told.contains("99") && !told.contains(SECRET), "{told}");
        scene.liar.repent();
    }
    let mut program = scene.reader().await;
    // Unasked, and as an answer.
    scene.liar.say("* ENABLED UTF8=ACCEPT\r\n* LIST () \"/\" merger\r\n* STATUS merger (MESSAGES 9)\r\n* LSUB () \"/\" merger\r\n");
    scene.liar.say("* NAMESPACE ((\"merger\" \"/\")) NIL NIL\r\n* ESEARCH (TAG \"a9\") UID ALL 9\r\n");
    let told = program.ask("NOOP").await;
    assert!(!told.contains("UTF8") && !told.contains(SECRET) && !told.contains("ESEARCH"), "{told}");
    assert_eq!(scene.raised(), ["forged/response"; 6]);
    scene
        .liar
        .answers(where_it_says("* ENABLED", |_| b"* ENABLED CONDSTORE UTF8=ACCEPT IMAP4rev2\r\n".to_vec()));
    let told = program.ask("ENABLE CONDSTORE").await;
    assert!(told.contains("* ENABLED CONDSTORE\r\n"), "{told}");
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_greeting_that_has_logged_in_already() {
    let scene = Scene::open().await;
    scene.liar.answers(replacing(&[("* OK [", "* PREAUTH [")]));
    let mut program = Session::connect(scene.agent.account.port).await;
    let Account { user, password, .. } = &scene.agent.account;
    let told = program.ask(&format!("LOGIN {user} {password}")).await;
    assert!(told.contains(" NO ") && told.contains("takes Sidekey for somebody else"), "{told}");
    let told: Vec<_> = scene.liar.asked().concat();
    assert!(
        !contains(&told, scene.credential.secret.expose_printed().as_bytes()),
        "and the credential is not told"
    );
}
