use std::ops::RangeInclusive;

use super::*;

/// Behind's pages in a folder of their own, and a way to open them again.
fn opened(folder: &Path) -> (Behind, State) {
    Behind::load(folder, key(), 1).unwrap()
}

fn key() -> Secret<32> {
    Secret::copy_of(&[7; 32]).unwrap()
}

fn change(seq: u64) -> Change {
    let position = Position { seq, hash: [1; 32] };
    let (values, pages, deltas) = (Vec::new(), Vec::new(), BTreeMap::new());
    Change { position, last_at: Timestamp(10), values, pages, deltas }
}

#[test]
fn pages_that_are_read_in_pieces_are_all_read_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let pages = (1..=5).map(|number| (number, Timestamp(1000), StoredPage::default())).collect();
    opened(&folder).0.write(Change { pages, ..change(9) }).unwrap();
    // The sum tells what was left out and what was read twice.
    let (behind, state) = opened(&folder);
    assert_eq!((behind.next_page(), state.position), (6, change(9).position));
}

#[test]
fn sled_is_closed_after_much_was_written_and_what_is_written_then_counts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let (mut behind, _) = opened(&folder);
    // A key and its value are 1024 octets.
    let all = 1..=KEPT_SIZE as u32 / 1024;
    let write = |behind: &mut Behind, seq, numbers: RangeInclusive<u32>, value: Option<Vec<u8>>| {
        let values = numbers.map(|number| (Key::Tally(number), value.clone())).collect();
        behind.write(Change { values, ..change(seq) }).unwrap();
    };
    let half = all.end() / 2;
    write(&mut behind, 1, 1..=half, Some(vec![0; 1019]));
    assert!(behind.open.is_some());
    write(&mut behind, 2, half + 1..=*all.end(), Some(vec![0; 1019]));
    assert!(behind.open.is_none());
    write(&mut behind, 3, all, None);
    assert!(behind.open.is_some());
    drop(behind);
    assert_eq!(opened(&folder).1.position, change(3).position);
}

#[test]
fn a_page_goes_with_its_deltas_when_its_last_session_is_long_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let (mut behind, _) = opened(&folder);
    let end = Timestamp(1000);
    let (pages, deltas) = (vec![(1, end, StoredPage::default())], BTreeMap::from([(1, Vec::new())]));
    behind.write(Change { pages, deltas, ..change(1) }).unwrap();
    for (seq, last_at, next) in [(2, Timestamp(999 + KEPT_S), 2), (3, end.after_s(KEPT_S), 1)] {
        behind.write(Change { last_at, ..change(seq) }).unwrap();
        assert_eq!(behind.next_page(), next);
    }
    let database = &behind.open.as_ref().unwrap().database;
    assert_eq!(database.len(), 1, "the mark alone is left");
    drop(behind);
    assert_eq!(opened(&folder).0.next_page(), 1);
}

#[test]
fn pages_that_somebody_took_out_or_moved_are_of_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let pages = [1, 2].map(|number| (number, Timestamp(1000), StoredPage::default())).into();
    opened(&folder).0.write(Change { pages, ..change(1) }).unwrap();
    let read_after = |edit: &dyn Fn(&sled::Db)| {
        let open = Open::new(&folder).unwrap();
        edit(&open.database);
        open.database.flush().unwrap();
        drop(open);
        Behind::load(&folder, key(), 1).map(drop)
    };
    let [second, third] = [2, 3].map(|number| Key::Page(number).encode());
    let value = encode(&StoredPage::default());
    let taken_out = read_after(&|pages| drop(pages.remove(&second).unwrap()));
    assert!(matches!(taken_out, Err(Unusable::Altered(_))), "{taken_out:?}");
    let moved = read_after(&|pages| drop(pages.insert(&third, &*value).unwrap()));
    assert!(matches!(moved, Err(Unusable::Altered(_))), "{moved:?}");
    read_after(&|pages| {
        pages.remove(&third).unwrap();
        pages.insert(&second, &*value).unwrap();
    })
    .unwrap();
}

#[test]
fn pages_are_made_anew_in_the_place_of_some_and_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let pages = vec![(1, Timestamp(1000), StoredPage::default())];
    Behind::anew(&folder, key()).unwrap().write(Change { pages, ..change(1) }).unwrap();
    let anew = Behind::anew(&folder, key()).unwrap();
    assert_eq!(format!("{anew:?}"), "Behind { pages: 0, .. }");
    drop(anew);
    // What is there and cannot be emptied is not written over.
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    assert!(matches!(Behind::anew(&folder, key()), Err(Unusable::Sync(_))));
}

#[test]
fn a_piece_ends_with_the_item_that_fills_it() {
    let (taker, items) = sync_channel(READ_AHEAD);
    let mut reader = Reader { secret: &key(), taker, sum: Sum::default() };
    let item = |number| Ok((IVec::from(Key::Page(number).encode()), IVec::from(&[0; 10])));
    let last = reader.hand_over((1..=9).map(item), 30).unwrap();
    assert_eq!(last.as_deref(), Some(&*Key::Page(2).encode()));
    assert_eq!(reader.hand_over((3..=4).map(item), 31).unwrap(), None);
    drop(reader);
    assert_eq!(items.iter().count(), 4);
}

#[test]
fn no_page_is_held_back_once_everything_else_was_taken() {
    let (taker, items) = sync_channel(READ_AHEAD);
    let page = encode(&StoredPage::default());
    taker.send((Key::Page(1).encode().into(), page.into())).unwrap();
    drop(taker);
    assert!(take_all(items).unwrap().loader.settled);
}
