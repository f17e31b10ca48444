use serde_json::Value;

use super::*;
use crate::crypto::testing::{Script, hex};

/// RFC 9383 appendix C, first vector, with the names of our own vector file.
const RFC_9383: &str = r#"{
    "w0": "bb8e1bbcf3c48f62c08db243652ae55d3e5586053fca77102994f23ad95491b3",
    "w1": "7e945f34d78785b8a3ef44d0df5a1a97d6b3b460409a345ca7830387a74b1dba",
    "L": "04eb7c9db3d9a9eb1f8adab81b5794c1f13ae3e225efbe91ea487425854c7fc00f00bfedcbd09b2400142d40a14f2064ef31dfaa903b91d1faea7093d835966efd",
    "x": "d1232c8e8693d02368976c174e2088851b8365d0d79a9eee709c6a05a2fad539",
    "share_p": "04ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1de127727f418b5966afadfdd95a6e4591d171056b333dab97a79c7193e341727",
    "y": "717a72348a182085109c8d3917d6c43d59b224dc6a7fc4f0483232fa6516d8b3",
    "share_v": "04c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb5cc1ca7494db39e82ff2f50665255d76173e09986ab46742c798a9a68437b048",
    "Z": "04bbfce7dd7f277819c8da21544afb7964705569bdf12fb92aa388059408d50091a0c5f1d3127f56813b5337f9e4e67e2ca633117a4fbd559946ab474356c41839",
    "V": "0458bf27c6bca011c9ce1930e8984a797a3419797b936629a5a937cf2f11c8b9514b82b993da8a46e664f23db7c01edc87faa530db01c2ee405230b18997f16b68",
    "TT": "38000000000000005350414b45322b2d503235362d5348413235362d484b44462d5348413235362d484d41432d534841323536205465737420566563746f72730600000000000000636c69656e740600000000000000736572766572410000000000000004886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20410000000000000004d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b4907d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7410000000000000004ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1de127727f418b5966afadfdd95a6e4591d171056b333dab97a79c7193e341727410000000000000004c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb5cc1ca7494db39e82ff2f50665255d76173e09986ab46742c798a9a68437b048410000000000000004bbfce7dd7f277819c8da21544afb7964705569bdf12fb92aa388059408d50091a0c5f1d3127f56813b5337f9e4e67e2ca633117a4fbd559946ab474356c4183941000000000000000458bf27c6bca011c9ce1930e8984a797a3419797b936629a5a937cf2f11c8b9514b82b993da8a46e664f23db7c01edc87faa530db01c2ee405230b18997f16b682000000000000000bb8e1bbcf3c48f62c08db243652ae55d3e5586053fca77102994f23ad95491b3",
    "K_main": "4c59e1ccf2cfb961aa31bd9434478a1089b56cd11542f53d3576fb6c2a438a29",
    "K_confirmP": "871ae3f7b78445e34438fb284504240239031c39d80ac23eb5ab9be5ad6db58a",
    "K_confirmV": "ccd53c7c1fa37b64a462b40db8be101cedcf838950162902054e644b400f1680",
    "confirm_p": "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527",
    "confirm_v": "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68",
    "K_shared": "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7"
}"#;

const OURS: &str = include_str!("../../../../proto/pairing/vectors.json");

/// Every value of `vector` that one side or the other computes on the way.
fn reproduce(vector: &Value, ids: &Ids<'_>) {
    let value = |name: &str| hex(&vector[name]);
    let secret = |name: &str| Secret::<32>::copy_of(&value(name)).unwrap();
    let registration = Registration { w0: secret("w0"), w1: secret("w1") };
    let verifier = registration.verifier();
    assert_eq!(verifier.secret().expose()[32..], value("L"));

    let prover = Prover::start(registration, &mut Script::of([value("x")]));
    assert_eq!(prover.share().as_bytes().as_slice(), value("share_p"));
    let (share_v, keys_v) = verifier.answer(ids, prover.share(), &mut Script::of([value("y")])).unwrap();
    assert_eq!(share_v.as_bytes().as_slice(), value("share_v"));

    let (z, v) = prover.points(&share_v).unwrap();
    let (z_of_verifier, v_of_verifier) = verifier.points(&scalar(&secret("y")), prover.share()).unwrap();
    assert_eq!((z.as_slice(), v.as_slice()), (z_of_verifier.as_slice(), v_of_verifier.as_slice()));
    assert_eq!((z.to_vec(), v.to_vec()), (value("Z"), value("V")));

    let tt = transcript(ids, prover.share(), &share_v, &z, &v, &scalar(&secret("w0")));
    assert_eq!(*tt, value("TT"));
    assert_eq!(tt.capacity(), tt.len(), "a reallocation would have left a copy behind");
    let k_main = k_main(&tt);
    assert_eq!(k_main.expose().as_slice(), value("K_main"));
    let (k_confirm_p, k_confirm_v) = confirmation_keys(&k_main);
    assert_eq!(k_confirm_p.expose().as_slice(), value("K_confirmP"));
    assert_eq!(k_confirm_v.expose().as_slice(), value("K_confirmV"));
    for keys in [prover.keys(ids, &share_v).unwrap(), keys_v] {
        assert_eq!(keys.confirm_p().expose().as_slice(), value("confirm_p"));
        assert_eq!(keys.confirm_v().expose().as_slice(), value("confirm_v"));
        assert_eq!(keys.shared().expose().as_slice(), value("K_shared"));
        assert_eq!(
            (keys.verify_p(&value("confirm_p")), keys.verify_v(&value("confirm_v"))),
            (Ok(()), Ok(()))
        );
        assert_eq!(keys.verify_p(&value("confirm_v")), Err(Unverified));
        assert_eq!(keys.verify_v(&value("confirm_v")[1..]), Err(Unverified));
    }
}

#[test]
fn rfc_9383_appendix_c() {
    let context = b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors";
    let vector = serde_json::from_str(RFC_9383).unwrap();
    reproduce(&vector, &Ids { context, prover: b"client", verifier: b"server" });
}

#[test]
fn every_value_of_the_published_cases() {
    let vectors: Value = serde_json::from_str(OURS).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let mut flat = case["spake2plus"].clone();
        for (group, name) in
            [("stretch", "w0"), ("stretch", "w1"), ("stretch", "L"), ("random", "x"), ("random", "y")]
        {
            flat[name] = case[group][name].clone();
        }
        for (message, name) in [("begin", "share_p"), ("begin_answer", "share_v")] {
            let point = crate::encoding::from_base64url(case[message][name].as_str().unwrap()).unwrap();
            flat[name] = base16ct::lower::encode_string(&point).into();
        }
        let [prover, verifier] =
            ["invitation", "public_url"].map(|name| case["given"][name].as_str().unwrap());
        let context = hex(&flat["Context"]);
        let ids = Ids { context: &context, prover: prover.as_bytes(), verifier: verifier.as_bytes() };
        reproduce(&flat, &ids);

        let code = case["given"]["code"].as_str().unwrap().replace('-', "");
        let salt = hex(&case["stretch"]["salt"]).try_into().unwrap();
        let stretched = Registration::stretch(code.as_bytes(), ids.prover, ids.verifier, &salt);
        let wide = Secret::copy_of(&hex(&case["stretch"]["w0s_w1s"])).unwrap();
        for registration in [stretched, Registration::from_wide(&wide)] {
            assert_eq!(registration.w0.expose().as_slice(), hex(&flat["w0"]));
            assert_eq!(registration.w1.expose().as_slice(), hex(&flat["w1"]));
        }
    }
}

#[test]
fn forty_octets_are_reduced_exactly() {
    let vectors: Value = serde_json::from_str(OURS).unwrap();
    for row in vectors["reduce"].as_array().unwrap() {
        assert_eq!(secret(&reduce(&hex(&row["wide"]))).expose().as_slice(), hex(&row["reduced"]), "{row}");
    }
}

#[test]
fn what_is_no_share_is_refused() {
    let vectors: Value = serde_json::from_str(OURS).unwrap();
    let rows = vectors["bad_shares"].as_array().unwrap();
    assert_eq!(rows.len(), 15);
    for row in rows {
        assert_eq!(Share::parse(&hex(&row["share"])), Err(BadShare), "{}", row["why"]);
    }
}

#[test]
fn a_share_that_cancels_the_mask_is_refused() {
    let w = Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(7));
    let registration = Registration::from_wide(&w);
    let ids = Ids { context: b"", prover: b"", verifier: b"" };
    let mask = |base| Share::of(&constant(base).point().mul(&*scalar(&registration.w0))).unwrap();
    let verifier = registration.verifier();
    let mut rng = Script::of([vec![1; 32], vec![2; 32]]);
    assert_eq!(verifier.answer(&ids, &mask(M), &mut rng).unwrap_err(), BadShare);
    let mask_n = mask(N);
    let prover = Prover::start(registration, &mut rng);
    assert_eq!(prover.keys(&ids, &mask_n).unwrap_err(), BadShare);
}

#[test]
fn a_draw_of_zero_or_beyond_the_order_is_drawn_again() {
    let order = [0xffu8; 32];
    let drawn = random(&mut Script::of([vec![0; 32], order.to_vec(), vec![3; 32]]));
    assert_eq!(secret(&drawn).expose(), &[3; 32]);
}

#[test]
fn a_verifier_reads_back_or_is_refused() {
    let w = Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(7));
    let verifier = Registration::from_wide(&w).verifier();
    let record = verifier.secret().expose();
    let copy = Verifier::from_secret(Secret::copy_of(record).unwrap()).unwrap();
    assert_eq!(copy.secret().expose(), record);
    for (at, value) in [(0..32, 0xff), (32..33, 0x02), (33..97, 0x00)] {
        let mut altered = *record;
        altered[at].fill(value);
        assert_eq!(Verifier::from_secret(Secret::copy_of(&altered).unwrap()).unwrap_err(), BadShare);
    }
}

#[test]
fn the_states_are_mute() {
    let w = Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(7));
    let registration = Registration::from_wide(&w);
    let verifier = registration.verifier();
    let prover = Prover::start(registration, &mut Script::of([vec![0x5a; 32]]));
    let text = format!("{verifier:?} {prover:?}");
    assert!(text.contains("Secret<32>") && text.contains("Secret<97>"));
    assert!(!text.contains("5a5a") && !text.contains("90, 90") && !text.contains("Scalar"));
}
