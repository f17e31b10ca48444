//! A connection that is trusted is a relay: it says what the server alone would say.

use sidekey_tests::imap::client::{Client, assert_same};
use sidekey_tests::imap::corpus::{Corpus, MESSAGES};
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::exchange::{EXCHANGES, differences};
use sidekey_tests::imap::gateway::Gateway;
use sidekey_tests::imap::proxy::Proxy;
use sidekey_tests::imap::{Account, USER};
use sidekey_tests::others::authority::Authority;

#[tokio::test]
async fn dovecot_says_the_same_twice() {
    let server = Dovecot::start(&Authority::new()).await;
    assert!(EXCHANGES.len() >= 40, "{}", EXCHANGES.len());
    assert_none_differ(server.port, &server).await;
}

#[tokio::test]
async fn the_gateway_says_what_the_server_says() {
    let server = Dovecot::start(&Authority::new()).await;
    let gateway = Gateway::trusting(&server);
    assert_none_differ(gateway.port("office"), &server).await;
}

#[tokio::test]
async fn proxies_that_tunnel_say_what_the_server_says() {
    let server = Dovecot::start(&Authority::new()).await;
    for proxy in [
        Proxy::nginx(server.port).await,
        Proxy::login_proxy(server.port).await,
        Proxy::up_imapproxy(server.port).await,
    ] {
        assert_none_differ(proxy.port, &server).await;
    }
}

#[tokio::test]
async fn a_proxy_that_ends_imap_is_told_from_the_server() {
    let server = Dovecot::start(&Authority::new()).await;
    let proxy = Proxy::imapc(server.port).await;
    let of_envelopes = EXCHANGES.iter().filter(|exchange| exchange.name == "fetch envelopes");
    assert_eq!(differences(proxy.port, &server, &of_envelopes.copied().collect::<Vec<_>>()).await.len(), 1);
}

async fn assert_none_differ(door: u16, server: &Dovecot) {
    let differences = differences(door, server, EXCHANGES).await;
    let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}

/// What a program fetches through the gateway is what it fetches without it.
mod the_gateway_brings_every_octet_to {
    use super::*;

    async fn program(client: Client) {
        let server = Dovecot::start(&Authority::new()).await;
        server.deliver(USER, None, &Corpus::new(1).messages);
        let gateway = Gateway::trusting(&server);
        let direct = client.sync(&Account::at(server.port), MESSAGES).await;
        let through = client.sync(&Account::at(gateway.port("office")), MESSAGES).await;
        assert_same(&direct, &through, &format!("{client:?}"));
        let octets: usize = direct.values().map(Vec::len).sum();
        assert!(octets > 4_000_000, "it fetches all of it: {octets}");
    }

    macro_rules! programs {
        ($($name:ident $client:ident)*) => {
            $(#[tokio::test]
            async fn $name() {
                program(Client::$client).await;
            })*
        };
    }

    programs! {
        curl Curl
        fetchmail Fetchmail
        imapclient ImapClient
        imapfilter ImapFilter
        imapflow ImapFlow
        mail_imapclient MailImapClient
        mailutil Mailutil
        mbsync Mbsync
        neomutt Neomutt
        offlineimap OfflineImap
    }
}
