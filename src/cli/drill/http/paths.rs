//! Paths, queries and methods. The twin is the path as it is spelled.

use http::Method;
use sidekey_service::problem::Code;

use crate::drill::ask::Ask;
use crate::drill::attack::{Attack, Bout, Group, Went};
use crate::drill::ground::Ground;
use crate::drill::promises::DOOR;

/// What is asked for, and what it must be refused with.
struct Row(&'static str, &'static str, fn(&Ground) -> Ask, Code);

const ROWS: [Row; 11] = [
    Row("path-encoded-slash", "a slash that is encoded", |_| Ask::get("/v1%2fservers"), Code::NotFound),
    Row("path-dots", "a path that climbs", |_| Ask::get("/v1/keys/../servers"), Code::NotFound),
    Row("path-upper-case", "a path in upper case", |_| Ask::get("/V1/SERVERS"), Code::NotFound),
    Row("path-more", "a slash more", |_| Ask::get("/v1/servers/"), Code::NotFound),
    Row("id-upper-case", "an id in upper case", upper_case, Code::NotFound),
    Row("id-longer", "an id that is longer", |ground| Ask::get(id(ground) + "0"), Code::NotFound),
    Row("id-nul", "an id followed by NUL", |ground| Ask::get(id(ground) + "%00"), Code::NotFound),
    Row("uri-long", "an address of 3,000 letters", long, Code::UriTooLong),
    Row(
        "query-unknown",
        "a parameter that nobody knows",
        |_| Ask::get("/v1/servers?x=1"),
        Code::QueryInvalid,
    ),
    Row("query-twice", "a parameter said twice", twice, Code::QueryInvalid),
    Row("method", "a method that is for others", |_| Ask::new(Method::PUT, "/v1/servers"), METHOD),
];

const METHOD: Code = Code::MethodNotAllowed;

pub(super) fn attacks() -> Vec<Attack> {
    let attack = |Row(name, does, make, code)| {
        Attack::new(Group::Http, name, does, DOOR, move |bout| Box::pin(asked(bout, make, code)))
    };
    ROWS.into_iter().map(attack).collect()
}

async fn asked(bout: &mut Bout, make: fn(&Ground) -> Ask, code: Code) -> Went {
    let (ask, admin) = (make(&bout.ground), bout.ground.admin_token());
    bout.attack("ask so", ask.bearer(&admin), code).await?;
    for path in ["/v1/servers?page_size=1".to_owned(), id(&bout.ground)] {
        bout.twin(format!("ask for {path}"), Ask::get(path).bearer(&admin), 200).await?;
    }
    Ok(())
}

/// The path of a pairing.
fn id(ground: &Ground) -> String {
    format!("/v1/pairings/{}", ground.phone.keys.pairing)
}

fn long(_: &Ground) -> Ask {
    Ask::get(format!("/v1/servers?x={}", "a".repeat(3_000)))
}

fn twice(_: &Ground) -> Ask {
    Ask::get("/v1/servers?page_size=1&page_size=1")
}

fn upper_case(ground: &Ground) -> Ask {
    Ask::get(format!("/v1/pairings/{}", ground.phone.keys.pairing.to_string().to_uppercase()))
}
