//! What the fuzzer sees of what an SMSC says (feature `fuzz`, of nobody else).

use bytes::BytesMut;
use rusmpp::{CommandStatus, Pdu};

use super::{report, wire};
use crate::outcome::{Report, Trouble};

/// A PDU as it came in.
#[derive(Debug)]
pub struct Taken {
    /// What it is.
    pub id: u32,
    /// What it says of a request.
    pub status: u32,
    /// Of which.
    pub sequence: u32,
    /// The same, written by us; `None`: its body makes no sense to us.
    pub written: Option<Vec<u8>>,
    /// What it reports.
    pub report: Option<Report>,
}

/// Takes the next PDU off what was read.
///
/// # Errors
/// [`Trouble::Unintelligible`]: a length that no PDU has.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Taken>, Trouble> {
    let Some(frame) = wire::take(buffer)? else { return Ok(None) };
    let report = match &frame.pdu {
        Some(Pdu::DeliverSm(message)) => report::read(message),
        _ => None,
    };
    let (id, status, sequence) = (frame.id, frame.status, frame.sequence);
    let written = frame.pdu.map(|pdu| wire::encoded(CommandStatus::from(status), sequence, pdu).to_vec());
    Ok(Some(Taken { id, status, sequence, written, report }))
}
