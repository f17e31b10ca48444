//! PDUs, in and out.

use bytes::{Buf as _, BufMut as _, BytesMut};
use rusmpp::decode::DecodeWithLength as _;
use rusmpp::encode::{Length as _, owned::Encode as _};
use rusmpp::{Command, CommandStatus, Pdu};

use crate::outcome::Trouble;

/// A PDU as it came in. What does not decode still says what it was and to what.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) id: u32,
    pub(super) status: u32,
    pub(super) sequence: u32,
    /// `None`: no body, or one that makes no sense.
    pub(super) pdu: Option<Pdu>,
}

impl Frame {
    pub(super) const fn is_request(&self) -> bool {
        self.id & RESPONSE == 0
    }
}

/// Takes the next PDU off `buffer`, which is all that is held of the stream; `None` while it is not whole.
///
/// # Errors
/// [`Trouble::Unintelligible`]: a length that no PDU has. There is no way to find the next one.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, Trouble> {
    let Some(length) = buffer.first_chunk().map(|length| u32::from_be_bytes(*length)) else {
        return Ok(None);
    };
    let length = usize::try_from(length).ok().filter(|length| (HEAD..=PDU_MAX).contains(length));
    let length = length.ok_or(Trouble::Unintelligible)?;
    if buffer.len() < length {
        buffer.reserve(length - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(length);
    frame.advance(4);
    let mut head = &frame[..HEAD - 4];
    let (id, status, sequence) = (head.get_u32(), head.get_u32(), head.get_u32());
    let pdu = Command::decode(&mut frame, length - 4).ok().and_then(|(command, _)| command.pdu().cloned());
    Ok(Some(Frame { id, status, sequence, pdu }))
}

/// A PDU as it goes out.
pub(super) fn encoded(status: CommandStatus, sequence: u32, pdu: impl Into<Pdu>) -> BytesMut {
    let command = Command::new(status, sequence, pdu);
    let length = 4 + command.length();
    let mut octets = BytesMut::with_capacity(length);
    octets.put_u32(u32::try_from(length).expect("our PDUs are short"));
    command.encode(&mut octets);
    octets
}

pub(super) const GENERIC_NACK: u32 = 0x8000_0000;
pub(super) const BIND_TRANSCEIVER_RESP: u32 = 0x8000_0009;
pub(super) const SUBMIT_SM_RESP: u32 = 0x8000_0004;
pub(super) const ENQUIRE_LINK_RESP: u32 = 0x8000_0015;
pub(super) const UNBIND_RESP: u32 = 0x8000_0006;
const RESPONSE: u32 = 0x8000_0000;
const HEAD: usize = 16;
/// The longest of version 3.4 with everything in it that is of use to us; one with more ends the connection.
const PDU_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    fn lengthed(length: u32) -> BytesMut {
        BytesMut::from(&[&length.to_be_bytes()[..], &[0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1]].concat()[..])
    }

    #[test]
    fn a_length_that_no_pdu_has_is_refused_before_anything_is_held() {
        for length in [0, 4, 15, 16 * 1024 + 1, u32::MAX] {
            let mut buffer = lengthed(length);
            assert_eq!(take(&mut buffer).unwrap_err(), Trouble::Unintelligible, "{length}");
            assert!(buffer.capacity() < 1024);
        }
    }

    #[test]
    fn a_pdu_comes_whole_or_not_yet() {
        let whole = encoded(CommandStatus::EsmeRok, 7, Pdu::EnquireLink);
        for cut in 0..whole.len() {
            assert!(take(&mut BytesMut::from(&whole[..cut])).unwrap().is_none());
        }
        let mut two = BytesMut::from(&[&whole[..], &whole].concat()[..]);
        for _ in 0..2 {
            let frame = take(&mut two).unwrap().unwrap();
            assert_eq!((frame.id, frame.sequence), (0x15, 7));
        }
        assert!(two.is_empty());
    }

    #[test]
    fn no_octets_bring_us_down() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ids = [0x8000_0000_u32, 0x8000_0009, 0x8000_0004, 0x15, 0x5, 0x6, 0x103, 0x102, 0x111, 0x7777];
        for round in 0..20_000 {
            let mut body = vec![0; usize::try_from(rng.next_u32() % 96).unwrap()];
            rng.fill_bytes(&mut body);
            let length = u32::try_from(16 + body.len()).unwrap().to_be_bytes();
            let id = ids[round % ids.len()].to_be_bytes();
            let pdu = [&length[..], &id, &[0; 7], &[1], &body].concat();
            let mut buffer = BytesMut::from(&pdu[..]);
            assert!(take(&mut buffer).unwrap().is_some());
            assert!(buffer.is_empty(), "the next one is found");
        }
    }
}
