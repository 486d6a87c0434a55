//! Passwords: their rules (PRD §4.1), and scrypt in PHC string form. Hashes made elsewhere with
//! bcrypt still verify, so that accounts can be brought along.
//!
//! Hashing takes a tenth of a second and megabytes on purpose; run it on blocking threads.

use std::fmt;

use core_kernel::Violation;
use scrypt::password_hash::{Error as HashingError, PasswordHasher as _, PasswordVerifier as _};
use scrypt::{Params, Scrypt};
use secrecy::{ExposeSecret, SecretString};

/// A password in the clear, on its way to be hashed or compared. Never shown, wiped when dropped.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// How many characters it must have.
    pub const MIN: usize = 8;
    /// How many characters it may have.
    pub const MAX: usize = 128;

    /// A new password: 8 to 128 characters with an upper-case and a lower-case letter, a digit and
    /// a special character (anything else that is not white space).
    ///
    /// # Errors
    /// `length` or `composition`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if !(Self::MIN..=Self::MAX).contains(&text.chars().count()) {
            return Err(Violation::new("length", "must have 8 to 128 characters"));
        }
        let has = |class: fn(char) -> bool| text.chars().any(class);
        let special = |c: char| {
            !(c.is_uppercase() || c.is_lowercase() || c.is_ascii_digit() || c.is_whitespace())
        };
        if !(has(char::is_uppercase)
            && has(char::is_lowercase)
            && has(|c| c.is_ascii_digit())
            && has(special))
        {
            return Err(Violation::new(
                "composition",
                "must have an upper-case letter, a lower-case letter, a digit and a special character",
            ));
        }
        Ok(Self::attempt(text))
    }

    /// What somebody types to log in, whatever it is.
    #[must_use]
    pub fn attempt(text: &str) -> Self {
        Self(SecretString::from(text))
    }

    fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// A stored hash: a PHC string (`$scrypt$ln=14,r=8,p=5$…`) or a bcrypt string (`$2b$12$…`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// What comparing a password with a hash showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right {
        /// The hash is weaker than today's, or bcrypt: make a new one while the password is known.
        outdated: bool,
    },
}

/// A stored hash that cannot be compared with: damaged, of an unknown kind, or so expensive that
/// computing it would be an attack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored password hash cannot be used: {0}")]
pub struct UnusableHash(&'static str);

/// The cost of scrypt: `2^ln` blocks of `r`, `p` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptParams {
    ln: u8,
    r: u32,
    p: u32,
}

/// Parameters that OWASP's table does not allow, or that scrypt cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScryptParamsError {
    /// Weaker than every row of the table.
    #[error(
        "ln={ln}, r={r}, p={p} is weaker than OWASP allows (at least ln=17,r=8,p=1 or 16,8,2 or 15,8,3 or 14,8,5 or 13,8,10)"
    )]
    Weak {
        /// log2 of N.
        ln: u8,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// More than this service will spend on one hash.
    #[error("ln={ln}, r={r}, p={p} is more than ln=20, r=16, p=16")]
    Excessive {
        /// log2 of N.
        ln: u8,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
}

impl ScryptParams {
    /// The rows of OWASP's Password Storage Cheat Sheet, all equally strong.
    const OWASP: [(u8, u32, u32); 5] =
        [(17, 8, 1), (16, 8, 2), (15, 8, 3), (14, 8, 5), (13, 8, 10)];

    /// Parameters at least as strong as one row of OWASP's table.
    ///
    /// # Errors
    /// `Weak` or `Excessive`.
    pub fn new(ln: u8, r: u32, p: u32) -> Result<Self, ScryptParamsError> {
        let params = Self { ln, r, p };
        if !params.is_bearable() {
            return Err(ScryptParamsError::Excessive { ln, r, p });
        }
        let strong = Self::OWASP
            .iter()
            .any(|row| ln >= row.0 && r >= row.1 && p >= row.2);
        if !strong {
            return Err(ScryptParamsError::Weak { ln, r, p });
        }
        Ok(params)
    }

    /// Whether computing it costs less than an attack would (a planted hash could demand 2^40).
    fn is_bearable(self) -> bool {
        self.ln <= 20 && (1..=16).contains(&self.r) && (1..=16).contains(&self.p)
    }

    /// Memory of one hash, in bytes.
    #[must_use]
    pub fn memory(self) -> u64 {
        (128 * u64::from(self.r)) << self.ln
    }

    fn work(self) -> u64 {
        self.memory() * u64::from(self.p)
    }

    fn is_weaker_than(self, other: Self) -> bool {
        self.work() < other.work() || self.memory() < other.memory()
    }
}

impl Default for ScryptParams {
    /// OWASP's minimum with the least memory that keeps a login near a seventh of a second.
    fn default() -> Self {
        Self { ln: 14, r: 8, p: 5 }
    }
}

/// Makes and compares hashes. Every call takes as long as its parameters say.
#[derive(Clone, Debug)]
pub struct PasswordCrypto {
    params: ScryptParams,
    dummy: PasswordHash,
}

/// bcrypt of this cost takes about a second; a planted hash could ask for months.
const MAX_BCRYPT_COST: u32 = 14;

impl PasswordCrypto {
    /// For hashes that cost this much.
    #[must_use]
    pub fn new(params: ScryptParams) -> Self {
        // To compare with when there is no account: it costs what a real one does, and whether it
        // matches is never asked. Salt and hash are 16 and 32 bytes of zeros.
        let ScryptParams { ln, r, p } = params;
        let (salt, hash) = ("A".repeat(22), "A".repeat(43));
        let dummy = PasswordHash(format!("$scrypt$ln={ln},r={r},p={p}${salt}${hash}"));
        Self { params, dummy }
    }

    /// The hash of a password, with a salt of its own.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn hash(&self, password: &Password) -> Result<PasswordHash, UnusableHash> {
        let params = Params::new(self.params.ln, self.params.r, self.params.p)
            .map_err(|_| UnusableHash("parameters out of range"))?;
        let hash = Scrypt::new_with_params(params)
            .hash_password(password.bytes())
            .map_err(|_| UnusableHash("no salt could be made"))?;
        Ok(PasswordHash(hash.to_string()))
    }

    /// Compares a password with a stored hash; without one, does the same work and says `Wrong`,
    /// so that an unknown account takes as long as a known one.
    ///
    /// # Errors
    /// When the stored hash is of no use.
    pub fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, UnusableHash> {
        match stored {
            None => self
                .verify_scrypt(password, &self.dummy.0)
                .map(|_| Verdict::Wrong),
            Some(PasswordHash(hash)) if hash.starts_with("$scrypt$") => {
                self.verify_scrypt(password, hash)
            }
            Some(PasswordHash(hash)) if hash.starts_with("$2") => verify_bcrypt(password, hash),
            Some(_) => Err(UnusableHash("unknown kind")),
        }
    }

    fn verify_scrypt(&self, password: &Password, hash: &str) -> Result<Verdict, UnusableHash> {
        let hash =
            scrypt::phc::PasswordHash::new(hash).map_err(|_| UnusableHash("no PHC string"))?;
        let parsed = Params::try_from(&hash).map_err(|_| UnusableHash("no scrypt parameters"))?;
        let stored = ScryptParams {
            ln: parsed.log_n(),
            r: parsed.r(),
            p: parsed.p(),
        };
        if !stored.is_bearable() {
            return Err(UnusableHash("excessive cost"));
        }
        match Scrypt::new_with_params(parsed).verify_password(password.bytes(), &hash) {
            Ok(()) => Ok(Verdict::Right {
                outdated: stored.is_weaker_than(self.params),
            }),
            Err(HashingError::PasswordInvalid) => Ok(Verdict::Wrong),
            Err(_) => Err(UnusableHash("damaged scrypt hash")),
        }
    }
}

fn verify_bcrypt(password: &Password, hash: &str) -> Result<Verdict, UnusableHash> {
    let cost: bcrypt::HashParts = hash
        .parse()
        .map_err(|_| UnusableHash("damaged bcrypt hash"))?;
    if cost.get_cost() > MAX_BCRYPT_COST {
        return Err(UnusableHash("excessive cost"));
    }
    // Others made these hashes, and bcrypt as others know it looks at 72 bytes and no more.
    match bcrypt::verify(password.bytes(), hash) {
        Ok(true) => Ok(Verdict::Right { outdated: true }),
        Ok(false) => Ok(Verdict::Wrong),
        Err(_) => Err(UnusableHash("damaged bcrypt hash")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "S3cur3P@ssw0rd!";

    fn crypto() -> PasswordCrypto {
        PasswordCrypto::new(ScryptParams::default())
    }

    #[test]
    fn a_password_has_four_kinds_of_characters_and_a_length() {
        for good in [
            GOOD,
            "Aa1!aaaa",
            "Ää1€öööö",
            "Aa1中aaaa",
            &format!("Aa1!{}", "x".repeat(124)),
        ] {
            assert!(Password::parse(good).is_ok(), "{good}");
        }
        for (bad, code) in [
            ("Aa1!aaa", "length"),
            (&*format!("Aa1!{}", "x".repeat(125)), "length"),
            ("aa1!aaaa", "composition"),
            ("AA1!AAAA", "composition"),
            ("Aaa!aaaa", "composition"),
            ("Aa1aaaaa", "composition"),
            ("Aa1 aaaa", "composition"),
        ] {
            assert_eq!(Password::parse(bad).unwrap_err().code, code, "{bad}");
        }
    }

    #[test]
    fn a_hash_is_a_phc_string_that_knows_its_password() {
        let crypto = crypto();
        let password = Password::parse(GOOD).unwrap();
        let hash = crypto.hash(&password).unwrap();
        assert!(hash.0.starts_with("$scrypt$ln=14,r=8,p=5$"), "{}", hash.0);
        assert!(hash.0.len() <= 255);
        assert_eq!(
            crypto.verify(&password, Some(&hash)),
            Ok(Verdict::Right { outdated: false })
        );
        let other = Password::attempt("S3cur3P@ssw0rd?");
        assert_eq!(crypto.verify(&other, Some(&hash)), Ok(Verdict::Wrong));
        assert_eq!(crypto.verify(&password, None), Ok(Verdict::Wrong));
    }

    #[test]
    fn the_hash_for_nobody_costs_what_a_real_one_does() {
        let crypto = PasswordCrypto::new(ScryptParams::new(15, 8, 3).unwrap());
        let real = crypto.hash(&Password::attempt(GOOD)).unwrap();
        let cost = |hash: &PasswordHash| hash.0.split('$').nth(2).unwrap().to_owned();
        assert_eq!(cost(&crypto.dummy), cost(&real));
        assert_eq!(crypto.dummy.0.len(), real.0.len());
    }

    #[test]
    fn a_bcrypt_hash_of_every_kind_verifies_and_is_outdated() {
        let password = Password::attempt(GOOD);
        for version in [
            bcrypt::Version::TwoA,
            bcrypt::Version::TwoB,
            bcrypt::Version::TwoY,
        ] {
            let hash = bcrypt::hash_with_result(GOOD, 4)
                .unwrap()
                .format_for_version(version);
            let verdict = crypto().verify(&password, Some(&PasswordHash(hash)));
            assert_eq!(verdict, Ok(Verdict::Right { outdated: true }));
        }
    }

    #[test]
    fn a_weaker_scrypt_hash_is_outdated_and_an_equal_one_is_not() {
        let weak = ScryptParams { ln: 10, r: 8, p: 1 };
        let old = PasswordCrypto::new(weak);
        let password = Password::attempt(GOOD);
        let hash = old.hash(&password).unwrap();
        assert_eq!(
            crypto().verify(&password, Some(&hash)),
            Ok(Verdict::Right { outdated: true })
        );
        assert_eq!(
            old.verify(&password, Some(&hash)),
            Ok(Verdict::Right { outdated: false })
        );
    }

    #[test]
    fn a_hash_that_would_cost_too_much_is_not_computed() {
        for planted in [
            "$scrypt$ln=40,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
            "$2b$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde",
            "$argon2id$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
            "",
        ] {
            let stored = PasswordHash(planted.to_owned());
            assert!(
                crypto()
                    .verify(&Password::attempt(GOOD), Some(&stored))
                    .is_err(),
                "{planted}"
            );
        }
    }

    #[test]
    fn parameters_below_the_table_are_refused() {
        for (ln, r, p) in [
            (17, 8, 1),
            (16, 8, 2),
            (15, 8, 3),
            (14, 8, 5),
            (13, 8, 10),
            (15, 8, 5),
        ] {
            assert!(ScryptParams::new(ln, r, p).is_ok());
        }
        for (ln, r, p) in [(14, 8, 4), (13, 8, 9), (16, 8, 1), (12, 8, 16), (14, 7, 5)] {
            assert!(matches!(
                ScryptParams::new(ln, r, p),
                Err(ScryptParamsError::Weak { .. })
            ));
        }
        assert!(matches!(
            ScryptParams::new(40, 8, 1),
            Err(ScryptParamsError::Excessive { .. })
        ));
    }
}
