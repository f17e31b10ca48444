use axum::Router;
use sidekey_protocol::ids::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::TestClock;
use crate::http::layer::Standing;

async fn broken() -> Response {
    panic!("what only the log may know")
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_500_and_says_nothing_else() {
    let edge_parts = Arc::new(Edge {
        clock: Arc::new(TestClock::at(Timestamp(1_700_000_000))),
        ids: Arc::new(RequestIds::starting_at(1)),
        dates: Arc::default(),
        limits: Live::new(Limits::default()),
        metrics: None,
    });
    let router = Router::new().fallback(broken).layer(Standing(edge_parts));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());

    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: mine\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains(r#""code":"internal""#) && answer.contains(r#""instance":"mine""#), "{answer}");
    assert!(!answer.contains("only the log"), "{answer}");
}

#[tokio::test]
async fn what_is_not_ready_in_time_is_answered_503() {
    let answer = in_time(Duration::ZERO, std::future::pending()).await;
    assert_eq!(answer.status(), Code::AnswerTimeout.status());
    assert_eq!(answer.headers()[http::header::RETRY_AFTER], "1");
}
