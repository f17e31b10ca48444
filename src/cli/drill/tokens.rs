//! Bearer tokens that are none. The twin is the party's own token, at the same place.

use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use serde_json::{Value, json};
use sidekey_protocol::crypto::{self, Secret, SigningKey};
use sidekey_protocol::encoding::base64url;
use sidekey_protocol::ids::{PartyId, ServiceId};
use sidekey_protocol::token;
use sidekey_service::problem::Code;

use super::ask::Ask;
use super::attack::{Attack, Bout, Group, Went};
use super::ground::{Ground, rng};
use super::promises::SPEAKS;

/// A request.
type Make = fn(&Ground) -> Ask;

/// What is asked with a false token, what it must be refused with, and what is asked honestly.
struct Row(&'static str, &'static str, Make, Code, Make);

const ROWS: [Row; 22] = [
    Row("none", "no token at all", |_| own(), Code::TokenMissing, honest),
    Row("in-the-query", "a token in the address", in_the_query, Code::TokenMissing, honest),
    Row("alg-none", "alg none, unsigned", alg_none, Code::TokenInvalid, honest),
    Row("alg-hs256", "HS256 with the public key as the secret", alg_hs256, Code::TokenInvalid, honest),
    Row("other-key", "the phone's token, signed by the laptop", other_key, Code::TokenInvalid, honest),
    Row(
        "as-administrator",
        "the administrator's id, signed by a device",
        admin_id,
        Code::TokenInvalid,
        admins,
    ),
    Row(
        "device-at-admin-s",
        "a device at an administrator's door",
        device_there,
        Code::RoleForbidden,
        admins,
    ),
    Row("unknown-party", "the id of nobody", unknown_party, Code::TokenInvalid, honest),
    Row("other-aud", "a token for another service", other_aud, Code::TokenInvalid, honest),
    Row("exp-far", "a token that lives for a day", exp_far, Code::TokenInvalid, honest),
    Row("exp-past", "a token that has expired", exp_past, Code::TokenExpired, honest),
    Row("iat-future", "a token from an hour ahead", iat_future, Code::TokenExpired, honest),
    Row("typ-jwt", "a token of another type", typ_jwt, Code::TokenInvalid, honest),
    Row("jwk", "a token that brings its own key", jwk, Code::TokenInvalid, honest),
    Row("jku", "a token that says where its key is", jku, Code::TokenInvalid, honest),
    Row("crit", "a token with a critical extension", crit, Code::TokenInvalid, honest),
    Row("more-claims", "a token that claims more", more_claims, Code::TokenInvalid, honest),
    Row("signature-zeros", "a signature of zeros", zeros, Code::TokenInvalid, honest),
    Row("two-headers", "two Authorization headers", two_headers, Code::HeaderRepeated, honest),
    Row("a-list", "two tokens in one header", a_list, Code::TokenInvalid, honest),
    Row("huge", "a token of 12,000 octets", huge, Code::TokenInvalid, honest),
    Row("header-bomb", "eighty headers", bomb, Code::HeadersTooLarge, honest),
];

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    let attack = |Row(name, does, make, code, twin)| {
        Attack::new(Group::Tokens, name, does, SPEAKS, move |bout| Box::pin(shown(bout, make, code, twin)))
    };
    ROWS.into_iter().map(attack).collect()
}

async fn shown(bout: &mut Bout, make: Make, code: Code, twin: Make) -> Went {
    let (false_one, honest) = (make(&bout.ground), twin(&bout.ground));
    bout.attack("ask with it", false_one, code).await?;
    bout.twin("ask with the party's own", honest, 200).await?;
    Ok(())
}

fn own() -> Ask {
    Ask::get("/v1/pairings/self")
}

fn servers() -> Ask {
    Ask::get("/v1/servers?page_size=1")
}

fn honest(ground: &Ground) -> Ask {
    own().bearer(&ground.token(&ground.phone.keys))
}

fn admins(ground: &Ground) -> Ask {
    servers().bearer(&ground.admin_token())
}

fn in_the_query(ground: &Ground) -> Ask {
    Ask::get(format!("/v1/pairings/self?access_token={}", ground.token(&ground.phone.keys)))
}

fn alg_none(ground: &Ground) -> Ask {
    Token::of(ground).header("alg", json!("none")).signed(|_| Vec::new())
}

/// HMAC hashes a key that is longer than its block: the hash of the public key is the same key.
fn alg_hs256(ground: &Ground) -> Ask {
    let public = crypto::sha256(ground.phone.keys.key.verifying_key().spki());
    let secret = Secret::copy_of(&public).expect("a hash is 32 octets");
    Token::of(ground)
        .header("alg", json!("HS256"))
        .signed(|message| crypto::mac(&secret, &[message]).to_vec())
}

fn other_key(ground: &Ground) -> Ask {
    Token::of(ground).signed(|message| ground.laptop.keys.key.sign(message).to_vec())
}

fn admin_id(ground: &Ground) -> Ask {
    let token = Token::of(ground).header("kid", json!(ground.administrator)).without_kek();
    Ask { path: servers().path, ..token.by_the_phone(ground) }
}

fn device_there(ground: &Ground) -> Ask {
    servers().bearer(&ground.token(&ground.phone.keys))
}

fn unknown_party(ground: &Ground) -> Ask {
    Token::of(ground).header("kid", json!(PartyId::random(&mut rng()))).by_the_phone(ground)
}

fn other_aud(ground: &Ground) -> Ask {
    Token::of(ground).claim("aud", json!(ServiceId::random(&mut rng()))).by_the_phone(ground)
}

fn exp_far(ground: &Ground) -> Ask {
    let now = ground.admin().transport().now();
    Token::of(ground).claim("exp", json!(now.after_s(86_400))).by_the_phone(ground)
}

fn exp_past(ground: &Ground) -> Ask {
    let now = ground.admin().transport().now().0;
    Token::of(ground).claim("iat", json!(now - 1_200)).claim("exp", json!(now - 600)).by_the_phone(ground)
}

fn iat_future(ground: &Ground) -> Ask {
    let now = ground.admin().transport().now().0;
    Token::of(ground).claim("iat", json!(now + 3_600)).claim("exp", json!(now + 4_200)).by_the_phone(ground)
}

fn typ_jwt(ground: &Ground) -> Ask {
    Token::of(ground).header("typ", json!("JWT")).by_the_phone(ground)
}

fn jwk(ground: &Ground) -> Ask {
    let key = SigningKey::generate(&mut rng());
    let verifying = key.verifying_key();
    let point = verifying.point();
    let jwk =
        json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..])});
    Token::of(ground).header("jwk", jwk).signed(|message| key.sign(message).to_vec())
}

fn jku(ground: &Ground) -> Ask {
    let key = SigningKey::generate(&mut rng());
    let elsewhere = json!("https://drill.invalid/keys.json");
    Token::of(ground).header("jku", elsewhere).signed(|message| key.sign(message).to_vec())
}

fn crit(ground: &Ground) -> Ask {
    Token::of(ground).header("crit", json!(["exp"])).by_the_phone(ground)
}

fn more_claims(ground: &Ground) -> Ask {
    Token::of(ground).claim("role", json!("admin")).by_the_phone(ground)
}

fn zeros(ground: &Ground) -> Ask {
    Token::of(ground).signed(|_| vec![0; 64])
}

fn two_headers(ground: &Ground) -> Ask {
    honest(ground).bearer(&ground.token(&ground.laptop.keys))
}

fn a_list(ground: &Ground) -> Ask {
    let token = ground.token(&ground.phone.keys);
    own().header(AUTHORIZATION, &format!("Bearer {token}, Bearer {token}"))
}

fn huge(_: &Ground) -> Ask {
    own().bearer(&"a".repeat(12_000))
}

fn bomb(ground: &Ground) -> Ask {
    (0..80).fold(honest(ground), |ask, n| {
        let name: HeaderName = format!("x-drill-{n}").parse().expect("it is a name");
        ask.header(name, "1")
    })
}

/// The phone's token, as it would sign it now, before it is spoiled and signed.
struct Token {
    header: Value,
    claims: Value,
}

impl Token {
    fn of(ground: &Ground) -> Self {
        let (keys, now) = (&ground.phone.keys, ground.admin().transport().now());
        let exp = now.after_s(token::LIFETIME_MAX_S);
        Self {
            header: json!({"alg": "ES256", "kid": keys.pairing, "typ": token::TYPE}),
            claims: json!({"aud": keys.service, "iat": now, "exp": exp, "kek": base64url(&keys.kek)}),
        }
    }

    fn header(mut self, member: &str, value: Value) -> Self {
        self.header[member] = value;
        self
    }

    fn claim(mut self, member: &str, value: Value) -> Self {
        self.claims[member] = value;
        self
    }

    fn without_kek(mut self) -> Self {
        self.claims.as_object_mut().map(|claims| claims.remove("kek"));
        self
    }

    fn by_the_phone(self, ground: &Ground) -> Ask {
        self.signed(|message| ground.phone.keys.key.sign(message).to_vec())
    }

    fn signed(self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Ask {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = base64url(&sign(message.as_bytes()));
        Ask::new(Method::GET, own().path).bearer(&format!("{message}.{signature}"))
    }
}
