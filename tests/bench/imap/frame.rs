//! What the frame costs beside the AEAD in it: the same octets, sealed and opened.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::object::{
    Agreed, Context, Item, Kind, Mailbox, ObjectKeys, Opener, RecordSize, Sealer, ServerToClient,
};
use sidekey_protocol::session::Suite;

use crate::measure::{Ratio, tell};

/// Octets that are padded by none.
const SIZES: [(usize, &str); 3] = [(2 << 10, "2 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")];
/// Octets of each round.
const OCTETS: usize = 32 << 20;
const ROUNDS: usize = 30;

#[test]
fn seal_and_open() {
    tell(&format!("a frame, × the bare AES-256-GCM in speed; {ROUNDS} interleaved rounds (goal: 0.85):"));
    for (size, name) in SIZES {
        let (bare, frame) = (Bare::new(size), Frame::new(size));
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let does: [&mut dyn FnMut(); 4] =
                [&mut bare.seals(), &mut || frame.seal(), &mut bare.opens(), &mut || frame.open()];
            for (does, times) in does.into_iter().zip(&mut times) {
                let since = Instant::now();
                (0..OCTETS / size).for_each(|_| does());
                times.push(since.elapsed());
            }
        }
        let [bare_seal, seal, bare_open, open] = &times;
        for (what, ratio) in [("seal", Ratio::of(bare_seal, seal)), ("open", Ratio::of(bare_open, open))] {
            let Ratio { least, quartiles: [low, _, high] } = ratio;
            tell(&format!("  {what} {name:>7}   {least:.2}   (half of the rounds {low:.2} to {high:.2})"));
        }
    }
}

/// One key, no frame.
struct Bare {
    key: LessSafeKey,
    text: Vec<u8>,
    sealed: Vec<u8>,
    tag: Vec<u8>,
}

impl Bare {
    fn new(size: usize) -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[9; 32]).unwrap());
        let text = vec![7; size];
        let mut sealed = text.clone();
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed).unwrap();
        Self { key, text, sealed, tag: tag.as_ref().to_vec() }
    }

    /// What is sealed is as good to be sealed again.
    fn seals(&self) -> impl FnMut() {
        let mut text = self.text.clone();
        move || {
            let tag =
                self.key.seal_in_place_separate_tag(nonce(), Aad::empty(), black_box(&mut text)).unwrap();
            let _ = black_box(tag);
        }
    }

    fn opens(&self) -> impl FnMut() {
        let mut text = self.text.clone();
        move || {
            let (sealed, tag) = (black_box(&self.sealed), &self.tag);
            self.key.open_separate_gather(nonce(), Aad::empty(), sealed, tag, &mut text).unwrap();
            black_box(&text);
        }
    }
}

struct Frame {
    keys: ObjectKeys,
    context: Context<ServerToClient>,
    value: Vec<u8>,
    frame: Vec<u8>,
}

impl Frame {
    /// As long as `size` octets of plaintext, with what stands before the value.
    fn new(size: usize) -> Self {
        let agreed = Agreed {
            session: SessionId::from_bytes([7; 16]),
            generation: 0,
            suite: Suite::A256gcm,
            policy_hash: [1; 32],
            capabilities_hash: [2; 32],
            offer_hash: [3; 32],
        };
        let keys = ObjectKeys::derive(&Secret::fill_with(|key| key.fill(9)), &agreed);
        let (mailbox, item) =
            (Mailbox::new("INBOX", Some('/')).unwrap(), Item::parse("BODY[HEADER]").unwrap());
        let context = Context::fetch(&mailbox, NonZeroU32::MIN, NonZeroU32::MIN, &item, None).unwrap();
        let mut new = Self { keys, context, value: vec![7; size - LEAD], frame: Vec::new() };
        let mut frame = Vec::new();
        new.sealed(|octets| frame.extend_from_slice(octets));
        new.frame = frame;
        new
    }

    fn seal(&self) {
        self.sealed(|octets| {
            black_box(octets);
        });
    }

    fn sealed(&self, mut take: impl FnMut(&[u8])) {
        let (kind, len) = (Kind::Literal, self.value.len() as u64);
        let mut sealer =
            Sealer::new(&self.keys.s2c, &self.context, kind, len, RecordSize::default(), [5; 16]).unwrap();
        let mut value = black_box(self.value.as_slice());
        while !value.is_empty() {
            take(sealer.feed(&mut value).unwrap());
        }
        while let Some(octets) = sealer.pad().unwrap() {
            take(octets);
        }
    }

    fn open(&self) {
        let mut opener = Opener::new(&self.keys.s2c, &self.context);
        let mut frame = black_box(self.frame.as_slice());
        while !frame.is_empty() {
            black_box(opener.feed(&mut frame).unwrap());
        }
        black_box(opener.finish().unwrap().octets());
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Octets before the value in a frame's plaintext.
const LEAD: usize = 9;
