//! What waits to be delivered, beside those who are issued keys.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::json;
use sidekey_client::protocol::ids::PartyId;

use crate::binary::Sidekey;
use crate::enterprise::Enterprise;
use crate::measure::{Processor, Ratio, tell};

/// A service with a mail server and devices at it.
struct Bench {
    enterprise: Enterprise,
    /// Whose sessions are measured.
    user: PartyId,
}

impl Bench {
    /// With this in its configuration.
    async fn start(more: &str) -> Self {
        let serve = |sidekey: &Sidekey, port| {
            let secret = sidekey.data().join("smsc.password");
            std::fs::write(&secret, "secret\n").unwrap();
            std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
            sidekey.serve(port)
        };
        let enterprise = Enterprise::served(more, serve).await;
        let user = enterprise.device("ann").await;
        Self { enterprise, user }
    }

    /// So many sessions for twenty devices, each to be sent by SMS.
    async fn fill(&self, sessions: usize) {
        let admin = &self.enterprise.admin;
        let mut audiences = Vec::new();
        for n in 0..DEVICES {
            let pairing = self.enterprise.device(&format!("user{}", n % 4)).await;
            let number = format!("+49170000{n:04}");
            admin.set_address(pairing, &"sms".parse().unwrap(), Some(&number)).await.unwrap();
            audiences.push(json!({ "pairing": pairing }));
        }
        let body = json!({
            "audiences": audiences, "capabilities": ["A256GCM"], "ttl": 86400, "deliver": ["sms"],
        });
        for n in 0..sessions / DEVICES {
            let call =
                self.enterprise.mail.transport().call(http::Method::POST, "/v1/sessions/batch").json(&body);
            let once = format!("batch-number-{n:06}");
            call.idempotency_key(once).send::<serde_json::Value>().await.unwrap();
        }
        let waiting = admin.carriers().await.unwrap()[0].pending;
        assert_eq!(waiting, u64::try_from(sessions).unwrap());
    }

    /// Processor time of the whole service process, and time, for issuing `ISSUED` sessions from many sides.
    async fn issue(&self, round: usize) -> (Duration, Duration) {
        let (before, since) = (Processor::of(self.enterprise.pid()), Instant::now());
        let side = async |side: usize| {
            for n in 0..ISSUED / SIDES {
                let body = json!({ "pairing": self.user, "capabilities": ["A256GCM"], "ttl": 60 });
                let call =
                    self.enterprise.mail.transport().call(http::Method::POST, "/v1/sessions").json(&body);
                let once = format!("{round:04}-{side:04}-{n:06}");
                call.idempotency_key(once).send::<serde_json::Value>().await.unwrap();
            }
        };
        futures_util::future::join_all((0..SIDES).map(side)).await;
        (before.since(), since.elapsed())
    }
}

/// proto/delivery/spec.md, section 8: an outbox that cannot empty itself costs those nothing who are issued keys.
#[tokio::test(flavor = "multi_thread")]
async fn issuing_beside_ten_thousand_that_wait_for_a_dead_smsc() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let carrier = format!(
        "\n[delivery.carriers.sms]\nkind = \"smpp\"\ndomain = \"operator\"\nhost = \"127.0.0.1\"\nport = {dead}\n\
         tls = false\nsystem_id = \"sidekey\"\npassword_file = \"smsc.password\"\nsender = \"Example\"\n\
         limits = {{ per_address = 100000, total = 1000000 }}\n"
    );
    let (idle, waiting) = (Bench::start("").await, Bench::start(&carrier).await);
    waiting.fill(10_000).await;
    let (mut without, mut with) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        for (bench, costs) in [(&idle, &mut without), (&waiting, &mut with)] {
            let (processor, time) = bench.issue(round).await;
            costs.0.push(processor);
            costs.1.push(time);
        }
    }
    let still = waiting.enterprise.admin.carriers().await.unwrap()[0].pending;
    assert_eq!(still, 10_000, "they wait still");
    tell(&format!(
        "issuing beside 10,000 that wait for a dead SMSC, × without, {ROUNDS} interleaved runs of {ISSUED}:"
    ));
    for (what, ratio) in
        [("per processor", Ratio::of(&without.0, &with.0)), ("per second", Ratio::of(&without.1, &with.1))]
    {
        let [low, median, high] = ratio.quartiles;
        tell(&format!("  {what:<14} {median:.3}   (half of them {low:.3} to {high:.3})"));
    }
}

const DEVICES: usize = 20;
const ISSUED: usize = 2048;
const SIDES: usize = 16;
const ROUNDS: usize = 9;
