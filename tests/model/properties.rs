//! What is promised, in every state; and what has to be possible, or the model would hold by doing nothing.

use stateright::{Expectation, Property};

use crate::attacker::GUESSES;
use crate::parties;
use crate::rules::Rules;
use crate::steps::{Sidekey, State};
use crate::terms::{Key, Message, Root, Signer};

/// An invitation's code is guessed at five times, whatever comes at once, dies or is begun again.
pub(crate) const GUESSING: &str = "five guesses";
/// The attacker has no root of a pairing that is live or in use, and no session key; with a device in her hand, none of
/// those that came after its revocation was acknowledged.
pub(crate) const SECRECY: &str = "secrecy";
/// A live pairing is that of the device that was invited, and both have the same root.
pub(crate) const SERVICE_KNOWS: &str = "the service knows its device";
/// A device uses only a pairing that the service has.
pub(crate) const DEVICE_KNOWS: &str = "the device knows its service";
/// An invitation makes one pairing.
pub(crate) const ONCE: &str = "one pairing of an invitation";
/// Nothing comes of what was revoked, from the acknowledgement on.
pub(crate) const REVOCATION: &str = "nothing after a revocation";
/// A root that both sides have erased is read by nobody who takes the service's disk, its root key and the device then.
pub(crate) const DEAD: &str = "erased keys stay dead";
/// After a rekey, whoever had a copy of the disk from before and listened reads no further.
pub(crate) const HEALING: &str = "a rekey heals";
/// A device and the service have an epoch in common, whatever is lost.
pub(crate) const TOGETHER: &str = "an epoch in common";

pub(crate) const PAIRED: &str = "can: both devices pair, and use it";
pub(crate) const READ: &str = "can: a device reads a key under its next epoch";
pub(crate) const REVOKED: &str = "can: a revocation is acknowledged, and the other device reads the next key";
pub(crate) const GUESSED: &str = "can: five guesses are answered";

/// Those that concern a variant.
pub(crate) fn all(rules: &Rules) -> Vec<Property<Sidekey>> {
    let mut all = vec![
        Property::always(GUESSING, |_, state: &State| {
            state.attacker.answered.iter().all(|&count| count <= GUESSES)
        }),
        Property::always(SECRECY, secret),
        Property::always(SERVICE_KNOWS, service_knows),
        Property::always(DEVICE_KNOWS, device_knows),
        Property::always(ONCE, once),
        Property::always(REVOCATION, |_, state: &State| !state.service.too_late),
        Property::always(DEAD, dead),
    ];
    if rules.has_backup {
        all.push(Property::always(HEALING, heals));
    } else if !rules.has_phone {
        all.push(Property::always(TOGETHER, together));
    }
    if !rules.paired {
        all.push(Property::sometimes(PAIRED, |model: &Sidekey, state| paired(&model.rules, state)));
    }
    if rules.guesses >= GUESSES && !rules.reads_code {
        all.push(Property::sometimes(GUESSED, |_, state: &State| state.attacker.answered.contains(&GUESSES)));
    }
    if rules.renewals > 0 {
        all.push(Property::sometimes(READ, |_, state: &State| {
            state.devices[0].read.is_some_and(|root| root.epoch() > 0) && state.devices[0].next.is_none()
        }));
    }
    if rules.sessions && rules.devices > 1 {
        all.push(Property::sometimes(REVOKED, |_, state: &State| revoked(state)));
    }
    all
}

/// The names of what is promised.
pub(crate) fn promised(rules: &Rules) -> Vec<&'static str> {
    let promises = |property: &Property<Sidekey>| property.expectation == Expectation::Always;
    all(rules).iter().filter(|property| promises(property)).map(|property| property.name).collect()
}

fn secret(model: &Sidekey, state: &State) -> bool {
    let rules = &model.rules;
    let State { service, devices, attacker, .. } = state;
    if rules.has_phone {
        let current = service.session.map(|session| session.key);
        let over = service.acknowledged.pairing.is_some();
        return !over || !attacker.reads(rules).any(|key| Some(key) == current);
    }
    if rules.has_backup {
        return true;
    }
    let live = service.pairings.iter().filter(|pairing| pairing.is_active()).map(|pairing| &pairing.root);
    let used = devices.iter().filter(|device| device.uses(rules)).filter_map(|device| device.root.as_ref());
    !live.chain(used).any(|root| attacker.has(root, rules)) && attacker.reads(rules).next().is_none()
}

fn service_knows(_: &Sidekey, state: &State) -> bool {
    let mut live = state.service.pairings.iter().filter(|pairing| pairing.is_active());
    live.all(|pairing| match pairing.exchange.key {
        Key::Device(device) => {
            let own = state.devices[usize::from(device)].exchange();
            own == Some(pairing.exchange) && pairing.exchange.invitation == device
        }
        Key::Attacker | Key::Ground(_) => false,
    })
}

fn device_knows(model: &Sidekey, state: &State) -> bool {
    let mut using = state.devices.iter().filter(|device| device.uses(&model.rules));
    using.all(|device| {
        device.exchange().is_some_and(|exchange| {
            exchange.signer == Signer::Service && state.service.pairing(exchange).is_some()
        })
    })
}

fn once(_: &Sidekey, state: &State) -> bool {
    let made = |invitation: u8| {
        state.service.pairings.iter().filter(|pairing| pairing.exchange.invitation == invitation).count()
    };
    (0..2).all(|invitation| made(invitation) <= 1)
}

/// Whoever has recorded everything takes the disk, the root key and the devices now.
fn dead(model: &Sidekey, state: &State) -> bool {
    let held = state.devices.iter().flat_map(|device| [device.root, device.next]).flatten();
    let here: Vec<Root> = state
        .service
        .pairings
        .iter()
        .flat_map(|pairing| [Some(pairing.root), pairing.next])
        .flatten()
        .chain(held)
        .collect();
    let found = state.service.pairings.iter().flat_map(crate::service::Pairing::on_disk);
    let devices = state.devices.iter().flat_map(|device| [device.root, device.next]).flatten();
    let stolen: Vec<Root> = found.chain(devices).collect();
    let sealed = state.attacker.heard.iter().filter_map(|message| match message {
        Message::Envelope { root, .. } => Some(root),
        _ => None,
    });
    let mut erased = sealed.filter(|root| !here.contains(root) && !state.attacker.has(root, &model.rules));
    !erased.any(|root| state.attacker.has_with(root, &stolen, &model.rules))
}

fn heals(model: &Sidekey, state: &State) -> bool {
    let renewed = state.devices.iter().filter_map(|device| device.root).filter(|root| root.epoch() > 0);
    !renewed.into_iter().any(|root| state.attacker.has(&root, &model.rules))
}

fn together(_: &Sidekey, state: &State) -> bool {
    state.devices.iter().all(|device| {
        let found = device.exchange().and_then(|exchange| state.service.pairing(exchange));
        let Some(pairing) = found.filter(|pairing| !pairing.revoked) else { return true };
        let service = [Some(pairing.root), pairing.next];
        [device.root, device.next].into_iter().flatten().any(|root| service.contains(&Some(root)))
            || matches!(device.step, parties::Step::Checked(_))
    })
}

fn paired(rules: &Rules, state: &State) -> bool {
    let live = |exchange| state.service.pairing(exchange).is_some_and(|pairing| pairing.is_active());
    state.devices.iter().all(|device| device.uses(rules) && device.exchange().is_some_and(live))
}

fn revoked(state: &State) -> bool {
    let Some(session) = state.service.session else { return false };
    let told = state.service.acknowledged.pairing.is_some();
    let other = state.devices[1].root;
    told && other.is_some_and(|root| {
        state.attacker.heard.contains(&Message::Envelope { root, key: session.key })
            && session.key.generation > 0
    })
}
