//! JSON Web Tokens (RFC 7519), signed with HS256: access tokens, refresh tokens, service tokens.
//!
//! The header's `typ` tells the kinds apart, so that none can stand in for another: `at+jwt`
//! (RFC 9068), `rt+jwt`, and plain `JWT` for service tokens, whose claims are exactly those of
//! PRD §8.2.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core_kernel::{Role, SessionId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils, verify};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::one_time::OneTimeToken;
use crate::session::TokenHash;

/// Claims of an access token (PRD §4.1), with its own id and its session's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Whose.
    pub sub: UserId,
    /// Their address when it was issued.
    pub email: String,
    /// Their role when it was issued.
    pub role: Role,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// From when on it is not accepted.
    pub exp: i64,
    /// Its id.
    pub jti: TokenId,
    /// The session it belongs to.
    pub sid: SessionId,
}

/// Claims of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshClaims {
    /// Whose.
    pub sub: UserId,
    /// When it was issued.
    pub iat: i64,
    /// From when on it is not accepted.
    pub exp: i64,
    /// Its id; what is stored is only the hash of this.
    pub jti: TokenId,
    /// The session it belongs to.
    pub sid: SessionId,
}

/// Claims of a service token (PRD §8.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClaims {
    /// The service's name, `notification-service`.
    pub sub: String,
    /// Always `service`.
    pub role: Role,
    /// When it was issued.
    pub iat: i64,
    /// From when on it is not accepted.
    pub exp: i64,
}

/// What a bearer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A user's access token.
    User(AccessClaims),
    /// A service token.
    Service(ServiceClaims),
}

/// A fresh access token with the refresh token that will replace it.
#[derive(Clone)]
pub struct TokenPair {
    /// For the `Authorization` header.
    pub access_token: String,
    /// For `POST /auth/refresh`, once.
    pub refresh_token: String,
    /// How long the access token lives, in seconds.
    pub expires_in: i64,
}

impl std::fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenPair(***)")
    }
}

/// A token that is not accepted. Why is for our log; the caller learns nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is not valid: {0}")]
pub struct TokenError(pub &'static str);

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignError(#[from] jsonwebtoken::errors::Error);

/// A secret that must not sign anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at least 32 bytes, has {0}")]
pub struct KeyringError(usize);

struct Key {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    one_time: hmac::Key,
}

impl Key {
    fn new(secret: &SecretString) -> Result<Self, KeyringError> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < Keyring::MIN_SECRET_BYTES {
            return Err(KeyringError(bytes.len()));
        }
        let mut labelled = b"shopflow kid:".to_vec();
        labelled.extend_from_slice(bytes);
        let hash = digest::digest(&digest::SHA256, &labelled);
        Ok(Self {
            kid: hex(&hash.as_ref()[..8]),
            encoding: EncodingKey::from_secret(bytes),
            decoding: DecodingKey::from_secret(bytes),
            one_time: derived(bytes, b"shopflow one-time tokens"),
        })
    }
}

impl Key {
    fn one_time(&self, id: TokenId) -> OneTimeToken {
        OneTimeToken::new(hex(hmac::sign(&self.one_time, id.0.as_bytes()).as_ref()))
    }
}

/// A key for another use, from which the secret cannot be found.
fn derived(secret: &[u8], label: &[u8]) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, label).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The secrets that sign and verify: the current one does both, previous ones still verify, so
/// that a change of secret logs nobody out.
pub struct Keyring {
    keys: Vec<Key>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.kid))
            .finish()
    }
}

/// The one that signs and the only one that is accepted, whatever a token says.
const ALGORITHM: Algorithm = Algorithm::HS256;

const ACCESS: &str = "at+jwt";
const REFRESH: &str = "rt+jwt";
const SERVICE: &str = "JWT";

/// How far ahead another machine's clock may be.
const LEEWAY_SECONDS: i64 = 5;

/// Ours have about 500 bytes; longer ones are not even decoded.
const MAX_TOKEN_BYTES: usize = 4096;

impl Keyring {
    /// A secret shorter than this is refused (RFC 7518 §3.2).
    pub const MIN_SECRET_BYTES: usize = 32;
    /// How long an access token lives (PRD §4.1).
    pub const ACCESS_TTL: SignedDuration = SignedDuration::from_hours(1);
    /// How long a refresh token lives (PRD §4.1).
    pub const REFRESH_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

    /// A ring of the signing secret and those that only verify.
    ///
    /// # Errors
    /// When one is shorter than 32 bytes.
    pub fn new(current: &SecretString, previous: &[SecretString]) -> Result<Self, KeyringError> {
        // A second ring finds the provider there already, which is the same one.
        let _ = PROVIDER.install_default();
        let keys = std::iter::once(current)
            .chain(previous)
            .map(Key::new)
            .collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Signs an access token.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, SignError> {
        self.sign(ACCESS, claims)
    }

    /// Signs a refresh token.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign_refresh(&self, claims: &RefreshClaims) -> Result<String, SignError> {
        self.sign(REFRESH, claims)
    }

    /// Signs a service token for `subject`, valid from `now` for `ttl`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign_service(
        &self,
        subject: &str,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<String, SignError> {
        let iat = now.as_second();
        let claims = ServiceClaims {
            sub: subject.to_owned(),
            role: Role::Service,
            iat,
            exp: iat + ttl.as_secs(),
        };
        self.sign(SERVICE, &claims)
    }

    fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
        let key = &self.keys[0];
        let mut header = Header::new(ALGORITHM);
        header.typ = Some(typ.to_owned());
        header.kid = Some(key.kid.clone());
        Ok(jsonwebtoken::encode(&header, claims, &key.encoding)?)
    }

    /// The one-time token with this id, by the current secret.
    #[must_use]
    pub fn one_time(&self, id: TokenId) -> OneTimeToken {
        self.keys[0].one_time(id)
    }

    /// The one-time token with this id that has this hash, by whichever secret it was made.
    #[must_use]
    pub fn one_time_of(&self, id: TokenId, hash: TokenHash) -> Option<OneTimeToken> {
        let mut tokens = self.keys.iter().map(|key| key.one_time(id));
        tokens.find(|token| token.hash() == hash)
    }

    /// Reads a token that stands in an `Authorization` header.
    ///
    /// # Errors
    /// Whatever is wrong with it: signature, kind, claims, times.
    pub fn read_bearer(&self, token: &str, now: Timestamp) -> Result<Bearer, TokenError> {
        let header = header(token)?;
        match header.typ.as_deref() {
            Some(ACCESS) => {
                let claims: AccessClaims = self.decode(token, &header, now)?;
                Ok(Bearer::User(claims))
            }
            Some(SERVICE) | None => {
                let claims: ServiceClaims = self.decode(token, &header, now)?;
                if claims.role != Role::Service || claims.sub.is_empty() {
                    return Err(TokenError("not a service token"));
                }
                Ok(Bearer::Service(claims))
            }
            Some(_) => Err(TokenError("wrong kind")),
        }
    }

    /// Reads a refresh token.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn read_refresh(&self, token: &str, now: Timestamp) -> Result<RefreshClaims, TokenError> {
        let header = header(token)?;
        if header.typ.as_deref() != Some(REFRESH) {
            return Err(TokenError("wrong kind"));
        }
        self.decode(token, &header, now)
    }

    /// Verifies the signature with the key that the header names; without a name, each is tried.
    /// Then come the claims and the times.
    ///
    /// The crate's own `decode` would read the header twice more and the claims twice more, and that at
    /// every request of every customer.
    fn decode<C: DeserializeOwned>(
        &self,
        token: &str,
        header: &Header,
        now: Timestamp,
    ) -> Result<C, TokenError> {
        const MALFORMED: TokenError = TokenError("malformed");
        let (message, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (_, claims) = message.split_once('.').ok_or(MALFORMED)?;
        let mut failure = TokenError("unknown key");
        for key in &self.keys {
            if header.kid.as_ref().is_some_and(|kid| *kid != key.kid) {
                continue;
            }
            match verify(signature, message.as_bytes(), &key.decoding, ALGORITHM) {
                Ok(true) => {
                    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| MALFORMED)?;
                    live(&read::<Times>(&claims)?, now)?;
                    return read(&claims);
                }
                Ok(false) => failure = TokenError("wrong signature"),
                Err(_) => failure = MALFORMED,
            }
        }
        Err(failure)
    }
}

fn header(token: &str) -> Result<Header, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError("too long"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError("malformed"))?;
    if header.alg != ALGORITHM {
        return Err(TokenError("wrong algorithm"));
    }
    // RFC 7515 §4.1.11: what is marked critical must be understood, and we understand nothing.
    if header.crit.is_some() {
        return Err(TokenError("critical extension"));
    }
    Ok(header)
}

fn read<C: DeserializeOwned>(claims: &[u8]) -> Result<C, TokenError> {
    serde_json::from_slice(claims).map_err(|_| TokenError("wrong claims"))
}

/// The claims that say when a token counts. Ours have no `nbf`, but a service token that was signed
/// with our secret elsewhere may.
#[derive(Deserialize)]
struct Times {
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
}

/// RFC 7519 §4.1.4 and §4.1.5: not accepted on or after `exp`, nor before `nbf`.
fn live(times: &Times, now: Timestamp) -> Result<(), TokenError> {
    let now = now.as_second();
    if times.exp <= now {
        return Err(TokenError("expired"));
    }
    if times.iat > now + LEEWAY_SECONDS {
        return Err(TokenError("issued in the future"));
    }
    if times.nbf.is_some_and(|nbf| nbf > now + LEEWAY_SECONDS) {
        return Err(TokenError("not valid yet"));
    }
    Ok(())
}

/// HS256 on ring, which the workspace has for TLS already; the crate's own back ends would bring a
/// second TLS library or an RSA implementation that we never use.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, secret: &[u8]) -> jsonwebtoken::errors::Result<Self> {
        if algorithm != ALGORITHM {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        ALGORITHM
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        ALGORITHM
    }
}

#[cfg(test)]
mod tests;
