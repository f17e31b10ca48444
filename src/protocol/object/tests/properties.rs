//! Any value, cut in any way, comes back.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn places()(item in prop::sample::select(vec!["ENVELOPE", "BODY[]", "BODY[HEADER]"]),
                range in prop::option::of((0_u64..4, 1_u32..=2))) -> Context<ServerToClient> {
        let range = range.filter(|_| item != "ENVELOPE");
        place(item, range.map(|(origin, count)| (origin * 16384, count * 16384)))
    }
}

/// Lengths near the ends of records and of padding, and others.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        0_usize..70_000,
        1000_usize..1100,
        (1_usize..4, 0_usize..40).prop_map(|(n, off)| n * 4096 + off - 20)
    ]
}

/// Cuts `octets` where `cuts`, repeated, say.
fn pieces<'a>(mut octets: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle() {
        if octets.is_empty() {
            break;
        }
        let (piece, rest) = octets.split_at(octets.len().min(*cut));
        pieces.push(piece);
        octets = rest;
    }
    pieces
}

fn seal_pieces(mut sealer: Sealer, pieces: &[&[u8]]) -> Vec<u8> {
    let mut frame = Vec::new();
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() {
            frame.extend_from_slice(sealer.feed(&mut piece).unwrap());
        }
    }
    while let Some(octets) = sealer.pad().unwrap() {
        frame.extend_from_slice(octets);
    }
    frame
}

fn open_pieces(mut opener: Opener<'_, ServerToClient>, pieces: &[&[u8]]) -> Result<(Kind, Vec<u8>), Reject> {
    let mut value = Vec::new();
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() {
            value.extend_from_slice(opener.feed(&mut piece)?);
        }
    }
    let ending = opener.finish()?;
    value.extend_from_slice(ending.octets());
    Ok((ending.kind(), value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn cut_in_any_way_it_is_the_same_frame_and_the_same_value(
        place in places(),
        len in lengths(),
        log2 in 12_u8..=16,
        chacha in any::<bool>(),
        cuts in prop::collection::vec(1_usize..9000, 1..8),
    ) {
        let len = if place.extent() == WHOLE { len } else { len % 16385 };
        let value: Vec<u8> = (0..=250).cycle().take(len).collect();
        let keys = keys(if chacha { Suite::C20p } else { Suite::A256gcm });
        let record_size = RecordSize::from_log2(log2).unwrap();
        let sealer = || Sealer::new(&keys.s2c, &place, Kind::Literal, len as u64, record_size, [5; 16]).unwrap();
        let frame = seal_pieces(sealer(), &[&value]);
        prop_assert_eq!(&seal_pieces(sealer(), &pieces(&value, &cuts)), &frame);
        prop_assert_eq!(frame.len() as u64, sealer().frame_len());
        prop_assert_eq!(frame.len() as u64, frame_len(place.class(), len as u64, place.extent(), record_size));
        let opener = || Opener::new(&keys.s2c, &place);
        let whole = Ok((Kind::Literal, value));
        prop_assert_eq!(&open_pieces(opener(), &[&frame]), &whole);
        prop_assert_eq!(&open_pieces(opener(), &pieces(&frame, &cuts)), &whole);
        prop_assert!(opened(opener(), &frame[..len % frame.len()]).is_err());
    }

    #[test]
    fn an_item_in_its_one_spelling_stays_as_it_is(text in "(BODY|BINARY)\\[(1|12\\.3)?\\.?(|TEXT|MIME|HEADER\\.FIELDS \\([a-zA-Z\" ]{1,9}\\))\\]") {
        if let Ok(item) = Item::parse(&text) {
            prop_assert_eq!(Item::parse(item.canonical()), Ok(item));
        }
    }
}
