//! What honest clients feel of an attack, and what it costs the service.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::attack::{ATTACKS, Attack};
use crate::measure::{Processor, Ratio, tell};
use crate::target::Target;

/// Figures of each round.
#[derive(Default)]
struct Rounds {
    median: Vec<Duration>,
    /// That one in a hundred takes, and more.
    p99: Vec<Duration>,
    /// Of the service, for each honest request.
    processor: Vec<Duration>,
    /// Of this process, where the attackers are and who is honest, for each honest request.
    others: Vec<Duration>,
}

impl Rounds {
    /// One more: so many honest requests, one after another.
    async fn measure(&mut self, target: &Target) {
        let (service, others) = (Processor::of(target.serving.pid()), Processor::of(std::process::id()));
        let mut took = Vec::with_capacity(ASKED);
        for _ in 0..ASKED {
            took.push(target.ask().await);
        }
        let each = |of: Duration| of / u32::try_from(ASKED).unwrap();
        self.processor.push(each(service.since()));
        self.others.push(each(others.since()));
        took.sort_unstable();
        self.median.push(took[ASKED / 2]);
        self.p99.push(took[ASKED * 99 / 100]);
    }

    /// What the service spends on an attack for what the attackers spend on it, if that is anything to speak of.
    fn for_theirs(&self, calm: &Self) -> String {
        let sum = |of: &[Duration]| of.iter().sum::<Duration>();
        let more = |with: &[Duration], without: &[Duration]| sum(with).saturating_sub(sum(without));
        let theirs = more(&self.others, &calm.others);
        if theirs < sum(&calm.others) / 5 {
            return "-".to_owned();
        }
        format!("{:.2}", more(&self.processor, &calm.processor).div_duration_f64(theirs))
    }
}

/// As many as the attack has, each again and again until it is dropped.
fn crowd(target: &Target, attack: &Attack) -> JoinSet<()> {
    let (attacker, run) = (target.attacker(2), attack.run);
    let again = || {
        let attacker = attacker.clone();
        async move {
            loop {
                run(attacker.clone()).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    (0..attack.at_once).map(|_| again()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_requests_under_each_attack() {
    let target = Target::start(&[]).await;
    Rounds::default().measure(&target).await;
    tell(&format!(
        "honest requests under attack, × without, {ROUNDS} interleaved rounds of {ASKED}; service, honest client and\n\
         attackers share this machine's cores. Half of the rounds are within the parentheses. The last column is what\n\
         the service spends on the attack, × what the attackers spend on it, where they spend something:"
    ));
    tell(&format!(
        "  {:<26} {:>5}  {:<22} {:<22} {:<22} leverage",
        "attack", "conns", "median", "p99", "processor per request"
    ));
    for attack in ATTACKS {
        let (mut calm, mut attacked) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            calm.measure(&target).await;
            let mut crowd = crowd(&target, attack);
            tokio::time::sleep(BEGINNING).await;
            attacked.measure(&target).await;
            crowd.shutdown().await;
            tokio::time::sleep(BEGINNING).await;
        }
        let ratio = |with: &[Duration], without: &[Duration]| {
            let [low, median, high] = Ratio::of(with, without).quartiles;
            format!("{median:.2} ({low:.2} to {high:.2})")
        };
        tell(&format!(
            "  {:<26} {:>5}  {:<22} {:<22} {:<22} {}",
            attack.name,
            attack.at_once,
            ratio(&attacked.median, &calm.median),
            ratio(&attacked.p99, &calm.p99),
            ratio(&attacked.processor, &calm.processor),
            attacked.for_theirs(&calm)
        ));
    }
}

const ASKED: usize = 200;
const ROUNDS: usize = 5;
/// In which all of a crowd have begun, or have gone.
const BEGINNING: Duration = Duration::from_millis(500);
