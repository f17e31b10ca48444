//! What those see who keep the service running.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::system::System;

impl System {
    /// What `/metrics` tells at the operations listener, as it stands.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        told_at(self.running().operations_addr().expect("it listens")).await
    }
}

/// The same, at this address.
///
/// # Panics
/// When nobody answers there.
pub(crate) async fn told_at(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer.split_once("\r\n\r\n").expect("the answer has a head").1.to_owned()
}
