//! Stock proxies straight in front of a stock server: what the operator reads, and what his users do. This is mail before
//! anything is sealed.

use sidekey_tests::imap::client::{CLIENTS, assert_same};
use sidekey_tests::imap::corpus::{Corpus, MARKERS, MESSAGES};
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::proxy::Proxy;
use sidekey_tests::imap::tap::Tap;
use sidekey_tests::imap::{Account, USER};
use sidekey_tests::others::authority::Authority;

#[tokio::test]
async fn nginx_reads_every_marker_and_hands_on_every_octet() {
    the_operator_reads_all(async |upstream| Proxy::nginx(upstream).await).await;
}

#[tokio::test]
async fn dovecots_login_proxy_reads_every_marker_and_hands_on_every_octet() {
    the_operator_reads_all(async |upstream| Proxy::login_proxy(upstream).await).await;
}

#[tokio::test]
async fn up_imapproxy_reads_every_marker_and_hands_on_every_octet() {
    the_operator_reads_all(async |upstream| Proxy::up_imapproxy(upstream).await).await;
}

/// With each program: the same mail through the proxy as without it, and all 500 markers on the proxy's wire.
async fn the_operator_reads_all(proxy: impl AsyncFn(u16) -> Proxy) {
    let corpus = Corpus::new(1);
    let server = Dovecot::start(&Authority::new()).await;
    server.deliver(USER, None, &corpus.messages);
    for client in CLIENTS {
        let tap = Tap::start(server.port).await;
        let proxy = proxy(tap.port).await;
        let (direct, through) = (Account::at(server.port), Account::at(proxy.port));
        let (direct, through) = tokio::join!(client.sync(&direct, MESSAGES), client.sync(&through, MESSAGES));
        assert_same(&direct, &through, &format!("{client:?}"));
        assert_eq!(corpus.markers.found_in(&tap.carried()).len(), MARKERS, "{client:?}");
    }
}
