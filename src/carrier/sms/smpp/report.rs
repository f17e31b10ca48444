//! What an SMSC says about a message later: a `deliver_sm` that is a receipt (SMPP 3.4, appendix B).

use rusmpp::pdus::DeliverSm;
use rusmpp::tlvs::TlvValue;
use rusmpp::values::MessageState;

use crate::outcome::{Fate, ReceiptId, Report};

/// The report in it; `None` for a message from a phone, and for what names no message. Its optional parameters count
/// more than its text, which every vendor writes as it likes: of that, `id:` and `stat:` alone are read.
pub(super) fn read(message: &DeliverSm) -> Option<Report> {
    if u8::from(message.esm_class) & MESSAGE_TYPE == 0 {
        return None;
    }
    let words = String::from_utf8_lossy(message.short_message().as_ref()).into_owned();
    let (mut id, mut fate) = (field(&words, "id:"), field(&words, "stat:").map(by_word));
    for value in message.tlvs().iter().filter_map(|tlv| tlv.value()) {
        match value {
            TlvValue::ReceiptedMessageId(said) => {
                id = Some(String::from_utf8_lossy(said.as_ref()).into_owned())
            }
            TlvValue::MessageState(state) => fate = Some(by_state(*state)),
            _ => {}
        }
    }
    let id = ReceiptId::new(&id?);
    (!id.as_str().is_empty()).then(|| Report { id, fate: fate.unwrap_or(Fate::Unknown) })
}

/// What follows `name` up to the next space.
fn field(words: &str, name: &str) -> Option<String> {
    words.split(' ').find_map(|word| word.strip_prefix(name)).map(str::to_owned)
}

fn by_word(word: String) -> Fate {
    match word.to_ascii_uppercase().as_str() {
        "DELIVRD" => Fate::Delivered,
        "EXPIRED" => Fate::Expired,
        "ENROUTE" | "ACCEPTD" => Fate::Underway,
        "UNDELIV" | "DELETED" | "REJECTD" => Fate::Undeliverable,
        _ => Fate::Unknown,
    }
}

fn by_state(state: MessageState) -> Fate {
    match state {
        MessageState::Delivered => Fate::Delivered,
        MessageState::Expired => Fate::Expired,
        MessageState::Scheduled | MessageState::Enroute | MessageState::Accepted => Fate::Underway,
        MessageState::Undeliverable
        | MessageState::Deleted
        | MessageState::Rejected
        | MessageState::Skipped => Fate::Undeliverable,
        _ => Fate::Unknown,
    }
}

/// The bits of esm_class that say what kind of message it is: 0 for a plain one.
const MESSAGE_TYPE: u8 = 0x3c;

#[cfg(test)]
mod tests {
    use super::*;
    use rusmpp::types::OctetString;
    use rusmpp::values::EsmClass;

    fn said(class: u8, words: &str) -> Option<(String, Fate)> {
        let message = DeliverSm::builder()
            .esm_class(EsmClass::from(class))
            .short_message(OctetString::from_slice(words.as_bytes()).unwrap())
            .build();
        read(&message).map(|report| (report.id.as_str().to_owned(), report.fate))
    }

    #[test]
    fn receipts_are_read_as_smscs_really_write_them() {
        let full = "id:0000002a sub:001 dlvrd:001 submit date:2611232233 done date:2611232233 stat:DELIVRD err:000 text:";
        assert_eq!(said(4, full), Some(("0000002a".into(), Fate::Delivered)));
        let osmo = "id:00000001 sub:000 dlvrd:000 submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DELIVRD err:000 text:";
        assert_eq!(said(4, osmo), Some(("00000001".into(), Fate::Delivered)));
        let jasmin = "id:9b4e2c1e-1111-4222-8333-444455556666 submit date:2611232233 done date:2611232233 stat:UNDELIV err:010";
        assert_eq!(said(4, jasmin).unwrap().1, Fate::Undeliverable);
        assert_eq!(said(4, "id:7 stat:WHATEVER"), Some(("7".into(), Fate::Unknown)));
        assert_eq!(said(4, "id:7"), Some(("7".into(), Fate::Unknown)));
    }

    #[test]
    fn what_is_no_receipt_reports_nothing() {
        assert_eq!(said(0, "id:7 stat:DELIVRD"), None, "a phone's own words");
        for words in ["", "id: stat:DELIVRD", "stat:DELIVRD", "\u{0}\u{ff}"] {
            assert_eq!(said(4, words), None, "{words}");
        }
    }
}
