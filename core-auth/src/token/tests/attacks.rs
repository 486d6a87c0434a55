//! What somebody tries who has no key of ours, or makes one of ours sign something else.

use serde_json::{Value, json};

use super::*;

const USER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;

fn user() -> Value {
    serde_json::to_value(access()).unwrap()
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = user();
    claims[name] = value;
    claims
}

#[track_caller]
fn assert_refused(token: &str, why: &str) {
    let keys = ring(SECRET, &[OTHER]);
    assert!(keys.read_bearer(token, now()).is_err(), "{why}: {token}");
    assert!(keys.read_refresh(token, now()).is_err(), "{why}: {token}");
}

#[track_caller]
fn assert_taken(token: &str) {
    let read = ring(SECRET, &[OTHER]).read_bearer(token, now());
    assert!(matches!(read, Ok(Bearer::User(_))), "{read:?}");
}

#[test]
fn what_is_forged_here_would_be_taken_without_its_fault() {
    assert_taken(&forge(USER, &user(), SECRET));
}

#[test]
fn a_token_cut_anywhere_is_refused() {
    let keys = ring(SECRET, &[]);
    for token in [
        keys.sign_access(&access()).unwrap(),
        keys.sign_refresh(&refresh()).unwrap(),
    ] {
        for end in 0..token.len() {
            assert_refused(&token[..end], "cut");
            assert_refused(&token[end + 1..], "cut in front");
        }
    }
}

#[test]
fn a_token_with_any_character_changed_is_refused() {
    let token = ring(SECRET, &[]).sign_access(&access()).unwrap();
    for index in 0..token.len() {
        for other in ["A", "B", ".", "=", "\0"] {
            let mut changed = token.clone();
            changed.replace_range(index..=index, other);
            if changed != token {
                assert_refused(&changed, "changed");
            }
        }
    }
}

#[test]
fn what_stands_around_a_token_is_not_overlooked() {
    let token = forge(USER, &user(), SECRET);
    for around in ["\n", " ", "\0", "=", ".", ".e30", "\r\nx: y"] {
        assert_refused(&format!("{token}{around}"), "behind");
        assert_refused(&format!("{around}{token}"), "in front");
    }
}

#[test]
fn a_missing_claim_and_one_of_a_wrong_type_are_refused() {
    let wrong = [
        Value::Null,
        json!(true),
        json!(""),
        json!("x"),
        json!(1.5),
        json!([]),
        json!({}),
        json!(["customer"]),
    ];
    for name in ["sub", "role", "iat", "exp", "jti", "sid"] {
        let mut without = user();
        without.as_object_mut().unwrap().remove(name);
        assert_refused(&forge(USER, &without, SECRET), name);
        for value in &wrong {
            assert_refused(&forge(USER, &with(name, value.clone()), SECRET), name);
        }
    }
    for value in wrong.into_iter().filter(|value| !value.is_string()) {
        assert_refused(&forge(USER, &with("email", value), SECRET), "email");
    }
    for name in ["sub", "role", "jti", "sid", "email"] {
        assert_refused(&forge(USER, &with(name, json!(5)), SECRET), name);
    }
    for claims in ["", "null", "[]", "\"x\"", "5", "{", "{}"] {
        assert_refused(&forge_text(USER, claims, SECRET), "no claims");
    }
}

#[test]
fn a_role_that_is_none_is_refused() {
    for role in ["root", "Admin", "ADMIN", "admin ", "service,admin"] {
        assert_refused(&forge(USER, &with("role", role.into()), SECRET), role);
    }
}

#[test]
fn times_that_are_past_or_no_whole_numbers_are_refused() {
    let now = now().as_second();
    for exp in [
        json!(now),
        json!(now - 1),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(now as f64 + 60.0),
        json!("9999999999"),
    ] {
        let told = format!("exp {exp}");
        assert_refused(&forge(USER, &with("exp", exp), SECRET), &told);
    }
    for iat in [json!(now + 6), json!(u64::MAX), json!(1e300)] {
        let told = format!("iat {iat}");
        assert_refused(&forge(USER, &with("iat", iat), SECRET), &told);
    }
}

#[test]
fn a_token_is_not_taken_before_it_is_valid() {
    let now = now().as_second();
    assert_taken(&forge(USER, &with("nbf", json!(now)), SECRET));
    for nbf in [json!(now + 6), json!("x"), json!(1.5), json!(u64::MAX)] {
        let told = format!("nbf {nbf}");
        assert_refused(&forge(USER, &with("nbf", nbf), SECRET), &told);
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    for header in [
        r#"{"alg":"none","alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","alg":"none","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"rt+jwt","typ":"at+jwt"}"#,
    ] {
        assert_refused(&forge(header, &user(), SECRET), header);
    }
    let claims = user().to_string();
    for more in [
        r#""role":"admin""#,
        r#""exp":9999999999"#,
        r#""sub":"00000000-0000-4000-8000-000000000000""#,
        r#""nbf":1,"nbf":1"#,
    ] {
        let twice = claims.replacen('{', &format!("{{{more},"), 1);
        assert_refused(&forge_text(USER, &twice, SECRET), more);
    }
}

#[test]
fn no_other_algorithm_and_no_other_spelling_is_taken() {
    for alg in [
        "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS384", "HS512", "RS256", "ES256",
        "PS256", "EdDSA",
    ] {
        let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt"}}"#);
        let token = forge(&header, &user(), SECRET);
        assert_refused(&token, alg);
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_refused(&format!("{signed}."), alg);
    }
    for header in [
        r#"{"typ":"at+jwt"}"#,
        r#"{"alg":null,"typ":"at+jwt"}"#,
        r#"{"alg":["HS256"],"typ":"at+jwt"}"#,
    ] {
        assert_refused(&forge(header, &user(), SECRET), header);
    }
}

#[test]
fn the_kind_is_taken_in_one_spelling() {
    for typ in [
        "\"AT+JWT\"",
        "\"application/at+jwt\"",
        "\"\"",
        "\"x\"",
        "5",
        "[\"at+jwt\"]",
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":{typ}}}"#);
        assert_refused(&forge(&header, &user(), SECRET), typ);
    }
}

#[test]
fn the_name_of_a_key_finds_that_key_or_none() {
    for kid in [
        "\"\"",
        "\"0\"",
        "\"../../../../dev/null\"",
        "\"' OR '1'='1\"",
        "\"\\u0000\"",
        "5",
        "[]",
        "true",
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":{kid}}}"#);
        for secret in [SECRET, ""] {
            assert_refused(&forge(&header, &user(), secret), kid);
        }
    }
    // Good keys, but not the one that is named.
    for (named, signs) in [(0, OTHER), (1, SECRET)] {
        let keys = ring(SECRET, &[OTHER]);
        let kid = &keys.keys[named].kid;
        let header = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#);
        assert_refused(&forge(&header, &user(), signs), kid);
    }
}

#[test]
fn a_key_that_a_token_brings_along_is_not_used() {
    let theirs = "a secret of somebody else's choice";
    let key = base64url(theirs.as_bytes());
    for more in [
        format!(r#""jwk":{{"kty":"oct","alg":"HS256","k":"{key}"}}"#),
        r#""jku":"https://attacker.example/keys""#.to_owned(),
        r#""x5u":"https://attacker.example/chain""#.to_owned(),
        format!(r#""x5c":["{key}"]"#),
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"at+jwt",{more}}}"#);
        assert_refused(&forge(&header, &user(), theirs), &more);
    }
}

#[test]
fn what_is_marked_critical_is_refused() {
    for more in [
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":"b64""#,
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"at+jwt",{more}}}"#);
        assert_refused(&forge(&header, &user(), SECRET), more);
    }
    // RFC 7797: claims that are not encoded, and the signature over them as they are.
    let header = base64url(br#"{"alg":"HS256","typ":"at+jwt","b64":false}"#);
    let message = format!("{header}.{}", user());
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    let token = format!("{message}.{}", base64url(signature.as_ref()));
    assert_refused(&token, "not encoded");
}

/// Google's Project Wycheproof: signatures with known faults.
#[test]
fn the_vectors_of_wycheproof_are_judged_as_they_say() {
    let vectors: Value = serde_json::from_str(include_str!("wycheproof.json")).unwrap();
    let mut count = 0;
    for group in vectors["groups"].as_array().unwrap() {
        let mut keys = ring(SECRET, &[]);
        let secret = group["secret"].as_str().unwrap();
        keys.keys[0].decoding = DecodingKey::from_base64_secret(secret).unwrap();
        keys.keys[0].kid = group["kid"].as_str().unwrap().to_owned();
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().unwrap();
            let read = header(token).and_then(|header| keys.decode::<Value>(token, &header, now()));
            // Their payloads are no claims, so that is what is left to refuse of a good one.
            let valid = read == Err(TokenError("wrong claims"));
            assert_eq!(valid, test["valid"], "{test}: {read:?}");
            count += 1;
        }
    }
    assert_eq!(count, 36);
}
