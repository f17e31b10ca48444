//! A start: what it refuses, what it leaves as it is, and what it says.

use std::fs;

use super::super::base;
use super::{ADMIN, Data, SEGMENT_SIZE, server};
use crate::config::{Format, Level, Log};
use crate::fault::{Damage, Fault};
use crate::store::{Tended, Terms};
use crate::telemetry::book::keep;

#[tokio::test]
async fn a_log_without_its_first_record_is_refused_whatever_the_pages_hold() {
    let mut data = Data::new();
    data.store.engine.roll();
    data.store.add_server(ADMIN, server()).await.unwrap();
    data.store.close().await;
    let first = "journal/00000000000000000001.journal";
    let refused = data.try_swap(|folder| fs::remove_file(folder.join(first)).unwrap());
    assert!(matches!(refused, Err(Fault::Corrupt { record: 1, damage: Damage::Missing, .. })), "{refused:?}");
}

#[tokio::test]
async fn pages_that_stand_where_the_base_does_are_kept() {
    let mut data = Data::with_users(1).await;
    data.store.close().await;
    base::advance(&data.store.shared.at_rest, data.store.position().seq).unwrap();
    let ours = data.folder.path().join("state/ours");
    data.swap(|_| fs::write(&ours, "").unwrap());
    assert!(ours.exists());
}

#[tokio::test]
async fn a_base_of_no_use_is_said_to_be_so() {
    let mut data = Data::new();
    data.store.close().await;
    let (book, _kept) = keep(&Log { level: Level::Error, format: Format::Text });
    data.swap(|folder| fs::write(folder.join("base"), "something else").unwrap());
    let said = book.text();
    assert!(said.contains("the base is of no use"), "{said}");
}

#[test]
fn terms_say_how_a_store_is_run() {
    let on_fence = Box::new(|_: &Fault| {});
    let terms = Terms { segment_size_bytes: SEGMENT_SIZE, on_fence, tended: Tended::ByCaller };
    assert_eq!(format!("{terms:?}"), "Terms { segment_size_bytes: 65536, tended: ByCaller, .. }");
}
