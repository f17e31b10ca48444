use sidekey_protocol::session::{Audience, OFFER_OF_SEVERAL, SuiteList};

use super::{Data, asked, user};

#[tokio::test]
async fn a_session_names_the_offer_that_its_suite_was_chosen_from() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let audiences = [Audience::Pairing(phone), Audience::User(user(0))];
    let offers = [SuiteList::ours().offer_hash(), OFFER_OF_SEVERAL];
    let mut opened = Vec::new();
    for (audience, offer) in audiences.into_iter().zip(offers) {
        let new = asked(data.gateway(), audience, opened.len() as u64);
        let session = data.store.open_session(new).await.unwrap();
        assert_eq!(session.offer_hash, offer);
        opened.push(session);
    }
    data.reopen().await;
    for session in opened {
        assert_eq!(data.store.session(session.id), Some(session));
    }
}
