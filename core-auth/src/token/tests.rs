use super::*;

mod attacks;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn ring(current: &str, previous: &[&str]) -> Keyring {
    let previous: Vec<SecretString> = previous.iter().map(|s| SecretString::from(*s)).collect();
    Keyring::new(&SecretString::from(current), &previous).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_739_789_400).unwrap()
}

fn access() -> AccessClaims {
    AccessClaims {
        sub: UserId::generate(),
        email: "jane@example.com".into(),
        role: Role::Customer,
        iat: now().as_second(),
        exp: now().as_second() + 3600,
        jti: TokenId::generate(),
        sid: SessionId::generate(),
    }
}

fn refresh() -> RefreshClaims {
    RefreshClaims {
        sub: UserId::generate(),
        iat: now().as_second(),
        exp: now().as_second() + 3600,
        jti: TokenId::generate(),
        sid: SessionId::generate(),
    }
}

/// A token of any header and claims, signed with `secret`.
fn forge(header: &str, claims: &serde_json::Value, secret: &str) -> String {
    forge_text(header, &claims.to_string(), secret)
}

fn forge_text(header: &str, claims: &str, secret: &str) -> String {
    use base64url as b64;
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", b64(signature.as_ref()))
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            let six = group >> (18 - 6 * index) & 63;
            text.push(char::from(ALPHABET[usize::try_from(six).unwrap()]));
        }
    }
    text
}

fn service_claims() -> serde_json::Value {
    serde_json::json!({
        "sub": "notification-service",
        "role": "service",
        "iat": now().as_second(),
        "exp": now().as_second() + 60,
    })
}

#[test]
fn an_access_token_survives_its_signature() {
    let (keys, claims) = (ring(SECRET, &[]), access());
    let token = keys.sign_access(&claims).unwrap();
    assert_eq!(keys.read_bearer(&token, now()), Ok(Bearer::User(claims)));
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.kid.as_deref().map(str::len), Some(16));
}

#[test]
fn no_kind_of_token_stands_in_for_another() {
    let keys = ring(SECRET, &[]);
    let access = keys.sign_access(&access()).unwrap();
    let refresh = keys.sign_refresh(&refresh()).unwrap();
    let service = keys
        .sign_service("notification-service", now(), SignedDuration::from_secs(60))
        .unwrap();
    assert!(keys.read_refresh(&access, now()).is_err());
    assert!(keys.read_refresh(&service, now()).is_err());
    assert!(keys.read_bearer(&refresh, now()).is_err());
    assert!(matches!(
        keys.read_bearer(&service, now()),
        Ok(Bearer::Service(_))
    ));
}

#[test]
fn a_service_token_as_the_prd_shows_it_is_accepted() {
    let token = forge(r#"{"alg":"HS256","typ":"JWT"}"#, &service_claims(), SECRET);
    let keys = ring(OTHER, &[SECRET]);
    assert!(matches!(
        keys.read_bearer(&token, now()),
        Ok(Bearer::Service(_))
    ));
}

#[test]
fn a_previous_secret_still_verifies_and_an_unknown_one_never_did() {
    let claims = access();
    let old = ring(SECRET, &[]).sign_access(&claims).unwrap();
    assert!(ring(OTHER, &[SECRET]).read_bearer(&old, now()).is_ok());
    assert!(ring(OTHER, &[]).read_bearer(&old, now()).is_err());
    let new = ring(OTHER, &[SECRET]).sign_access(&claims).unwrap();
    assert!(ring(SECRET, &[]).read_bearer(&new, now()).is_err());
}

#[test]
fn a_token_is_not_accepted_on_or_after_its_expiry_nor_long_before_its_issue() {
    let (keys, claims) = (ring(SECRET, &[]), access());
    let token = keys.sign_access(&claims).unwrap();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    assert!(keys.read_bearer(&token, at(claims.exp - 1)).is_ok());
    assert_eq!(
        keys.read_bearer(&token, at(claims.exp)),
        Err(TokenError("expired"))
    );
    assert!(keys.read_bearer(&token, at(claims.iat - 5)).is_ok());
    assert!(keys.read_bearer(&token, at(claims.iat - 6)).is_err());
}

#[test]
fn forged_and_broken_tokens_are_refused() {
    let keys = ring(SECRET, &[]);
    let good = service_claims();
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let jwt = r#"{"alg":"HS256","typ":"JWT"}"#;
    for (why, token) in [
        (
            "alg none",
            forge(r#"{"alg":"none","typ":"JWT"}"#, &good, SECRET),
        ),
        (
            "alg HS512",
            forge(r#"{"alg":"HS512","typ":"JWT"}"#, &good, SECRET),
        ),
        (
            "alg RS256",
            forge(r#"{"alg":"RS256","typ":"JWT"}"#, &good, SECRET),
        ),
        (
            "alg case",
            forge(r#"{"alg":"hs256","typ":"JWT"}"#, &good, SECRET),
        ),
        ("other secret", forge(jwt, &good, OTHER)),
        ("empty secret", forge(jwt, &good, "")),
        (
            "unknown kid",
            forge(r#"{"alg":"HS256","kid":"0000000000000000"}"#, &good, SECRET),
        ),
        (
            "crit",
            forge(
                r#"{"alg":"HS256","crit":["b64"],"b64":true}"#,
                &good,
                SECRET,
            ),
        ),
        (
            "other typ",
            forge(r#"{"alg":"HS256","typ":"at+jwt"}"#, &good, SECRET),
        ),
        (
            "string exp",
            forge(jwt, &with("exp", "9999999999".into()), SECRET),
        ),
        (
            "float exp",
            forge(jwt, &with("exp", 9_999_999_999.5.into()), SECRET),
        ),
        (
            "no exp",
            forge(jwt, &with("exp", serde_json::Value::Null), SECRET),
        ),
        (
            "admin role",
            forge(jwt, &with("role", "admin".into()), SECRET),
        ),
        ("no sub", forge(jwt, &with("sub", "".into()), SECRET)),
        (
            "8 KiB",
            forge(jwt, &with("sub", "x".repeat(8192).into()), SECRET),
        ),
        ("empty", String::new()),
        ("two parts", "a.b".into()),
        ("four parts", format!("{}.x", forge(jwt, &good, SECRET))),
        ("newline", format!("{}\n", forge(jwt, &good, SECRET))),
        (
            "no signature",
            forge(jwt, &good, SECRET)
                .rsplit_once('.')
                .unwrap()
                .0
                .to_owned()
                + ".",
        ),
    ] {
        assert!(keys.read_bearer(&token, now()).is_err(), "{why}");
    }
    assert!(
        keys.read_bearer(&forge(jwt, &good, SECRET), now()).is_ok(),
        "the forge works"
    );
}

#[test]
fn a_short_secret_is_refused() {
    let short = SecretString::from("0123456789abcdef0123456789abcde");
    let good = SecretString::from(SECRET);
    assert_eq!(
        Keyring::new(&short, &[]).unwrap_err().to_string(),
        "must have at least 32 bytes, has 31"
    );
    assert!(Keyring::new(&good, &[short]).is_err());
}
