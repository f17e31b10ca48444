//! More than anybody needs, typed at the gateway.

use super::*;

#[tokio::test]
async fn more_than_a_command_may_be() {
    let scene = Scene::open().await;
    let asked = {
        let _logged_in = scene.proxy().await;
        scene.asked()
    };
    for (command, answer) in [
        (format!("SEARCH HEADER X {{{}}}\r\n", u64::MAX), "BAD"),
        ("SEARCH HEADER X {4294967296+}\r\n".to_owned(), "BAD"),
        ("APPEND INBOX {4294967296}\r\n".to_owned(), "BAD"),
        ("APPEND INBOX {300000000}\r\n".to_owned(), "NO [LIMIT]"),
        (format!("SEARCH {}SEEN{}", "(".repeat(5_000), ")".repeat(5_000)), "BAD"),
        (format!("UID FETCH {}1 FLAGS", "1,".repeat(200_000)), "BAD"),
        (format!("LIST \"\" \"{}\"", "x".repeat(1 << 20)), "BAD"),
    ] {
        let what = &command[..command.len().min(40)];
        let told = scene.proxy().await.ask(&command).await;
        assert!(told.contains(&format!(" {answer} ")), "{what}: {told}");
    }
    // Of each connection its login, which is the gateway's own, and SELECT.
    let heard = scene.asked();
    let login = asked.lines().next().unwrap();
    assert!(login.contains(" AUTHENTICATE PLAIN ") && heard.starts_with(&asked), "{asked}");
    assert!(heard.lines().all(|line| line == login || line.ends_with(" SELECT INBOX")), "{heard}");
}

#[tokio::test]
async fn commands_without_end_and_without_reading() {
    let scene = Scene::open().await;
    let mut proxy = scene.proxy().await;
    // None waits for the answer to the one before; of all of them each is answered, in their order.
    let flood = "x NOOP\r\ny STORE 1 FLAGS ()\r\nz UID FETCH 1 BODY.PEEK[HEADER]\r\n".repeat(300);
    let told = proxy.ask(&format!("NOOP\r\n{flood}last NOOP")).await;
    assert!(told.contains(" OK "), "{told}");
    let rest = proxy.ask("LOGOUT").await;
    let order: Vec<_> = rest.lines().filter_map(|line| line.split_once(' ')).map(|(tag, _)| tag).collect();
    let tags: Vec<_> = order.into_iter().filter(|tag| ["x", "y", "z"].contains(tag)).collect();
    assert_eq!(tags, ["x", "y", "z"].repeat(300));
    assert!(!rest.contains(SECRET));
    assert!(scene.proxy().await.ask("NOOP").await.contains(" OK "), "and others are served");
}
