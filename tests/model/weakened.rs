//! The model can fail: whatever is left out of the protocol or the service, the checker finds what follows.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::properties::{
    DEAD, DEVICE_KNOWS, GUESSING, HEALING, ONCE, REVOCATION, SECRECY, SERVICE_KNOWS, TOGETHER,
};
use crate::rules::{Rules, Weakness};
use crate::steps::Sidekey;
use crate::variants::{BACKUP, CODE_READ, PHONE};

/// One test for each, named for what is left out: the promise that falls without it.
macro_rules! breaks {
    ($($test:ident: $weakness:ident of $rules:expr => $promise:ident;)*) => {$(
        #[test]
        fn $test() {
            breaks($rules, Weakness::$weakness, $promise);
        }
    )*};
}

breaks! {
    an_attempt_spent_after_the_answer: AttemptAfterAnswer of Rules::PAIRING => GUESSING;
    attempts_counted_before_the_commit: AttemptOutsideCommit of Rules::PAIRING => GUESSING;
    attempts_counted_in_memory: AttemptInMemory of Rules::PAIRING => GUESSING;
    a_code_that_travelled_without_approval: CodeWithoutApproval of CODE_READ => SERVICE_KNOWS;
    approval_without_digits: ApprovedUnseen of CODE_READ => SERVICE_KNOWS;
    digits_of_the_key_alone: DigitsOfKeyAlone of UNPINNED => SERVICE_KNOWS;
    a_service_that_is_believed_without_a_pin: ActiveBelieved of UNPINNED => DEVICE_KNOWS;
    a_box_that_is_not_signed: BoxUnsigned of CODE_READ => DEVICE_KNOWS;
    a_pin_that_is_not_compared: PinIgnored of CODE_READ => DEVICE_KNOWS;
    an_invitation_that_pairs_twice: InvitationOutlivesUse of CODE_READ => ONCE;
    a_finish_that_looks_once: FinishOutsideCommit of CANCELLED => REVOCATION;
    a_revocation_acknowledged_early: RevocationBeforeDurable of Rules::SESSIONS => REVOCATION;
    a_device_looked_at_once: LiveOutsideRead of Rules::SESSIONS => REVOCATION;
    a_revocation_that_rotates_nothing: RevocationWithoutRotation of PHONE => SECRECY;
    a_key_for_whoever_shows_a_token: KeyUnwrapped of Rules::SESSIONS => SECRECY;
    a_rekey_without_an_exchange: RekeyWithoutExchange of BACKUP => HEALING;
    a_rekey_that_keeps_what_was: RekeyKeepsPredecessor of Rules::SESSIONS => DEAD;
    a_rekey_that_takes_effect_at_once: RekeyTakesEffectAtOnce of Rules::SESSIONS => TOGETHER;
    an_epoch_used_before_it_is_durable: UseBeforeDurable of Rules::SESSIONS => TOGETHER;
}

const UNPINNED: Rules = Rules { pinned: false, ..CODE_READ };
const CANCELLED: Rules = Rules { cancels: true, ..Rules::PAIRING };

/// Looks for a way to break a promise, and prints it.
fn breaks(rules: Rules, weakness: Weakness, promise: &'static str) {
    let since = Instant::now();
    let model = Sidekey { rules: rules.but(weakness) };
    let checker = model.checker().finish_when(HasDiscoveries::AnyOf([promise].into())).spawn_bfs().join();
    let found = checker.discovery(promise);
    let found = found.unwrap_or_else(|| panic!("{weakness:?}: \"{promise}\" holds nevertheless"));
    let property = model.property(promise);
    let mut steps = Vec::new();
    for (state, step) in found.into_vec() {
        // What is found may go on beyond the moment when it breaks.
        if !(property.condition)(&model, &state) {
            break;
        }
        steps.extend(step);
    }
    let (states, time) = (checker.unique_state_count(), since.elapsed().as_secs_f32());
    println!("{weakness:?} breaks \"{promise}\" in {} steps ({states} states, {time:.1} s):", steps.len());
    for step in steps {
        println!("    {step:?}");
    }
}
