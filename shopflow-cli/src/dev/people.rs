//! The admin and the customer that the first start makes, and `dev.json`, which tells of them.

use anyhow::{Context, anyhow};
use core_auth::{
    Accounts, Doing, Email, Password, PersonName, Phone, RegisterError, Registration, UserRole,
    UserStore,
};
use core_kernel::{Clock, RequestContext, SystemClock};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::folder::Folder;

const FILE: &str = "dev.json";
/// Passwords of accounts that may not have been made yet: known before anything is made with them.
const PLANNED: &str = "dev.json.new";

/// Who can log in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// Both of them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct People {
    pub(crate) admin: Login,
    pub(crate) customer: Login,
}

impl People {
    /// Those of the last start, or new ones.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is none of ours.
    pub(crate) fn load(folder: &Folder) -> anyhow::Result<Self> {
        for name in [FILE, PLANNED] {
            if let Some(text) = folder.read(name)? {
                return serde_json::from_str(&text)
                    .with_context(|| format!("{}/{name} is broken", folder.path().display()));
            }
        }
        let login = |name: &str| -> anyhow::Result<Login> {
            Ok(Login {
                email: format!("{name}@shopflow.local"),
                password: format!("Sf1-{}", &random_text()?[..16]),
            })
        };
        let people = Self {
            admin: login("admin")?,
            customer: login("customer")?,
        };
        folder.write(PLANNED, &serde_json::to_string(&people)?)?;
        Ok(people)
    }

    /// Writes `dev.json`: everybody in it can log in now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, folder: &Folder, urls: &[String; 3]) -> anyhow::Result<()> {
        let [auth, orders, notify] = urls;
        let file = json!({
            "admin": self.admin,
            "customer": self.customer,
            "auth_url": auth,
            "orders_url": orders,
            "notify_url": notify,
            "inbox_url": format!("{notify}/inbox"),
        });
        folder.write(FILE, &format!("{file:#}\n"))?;
        folder.remove(PLANNED);
        Ok(())
    }
}

/// Makes an account unless it is there already.
pub(crate) async fn ensure(
    accounts: &Accounts,
    users: &dyn UserStore,
    login: &Login,
    names: (&str, &str),
    role: UserRole,
) -> anyhow::Result<()> {
    let email = Email::normalized(&login.email);
    if users.find_by_email(&email).await?.is_some() {
        return Ok(());
    }
    let fault = |fault| anyhow!("dev.json: {fault}");
    let registration = Registration {
        email,
        password: Password::parse(&login.password).map_err(fault)?,
        first_name: PersonName::parse(names.0).map_err(fault)?,
        last_name: PersonName::parse(names.1).map_err(fault)?,
        phone: Some(Phone::parse("+15555550100").map_err(fault)?),
    };
    let context = RequestContext::generate();
    let by = Doing {
        actor_id: "dev".to_owned(),
        actor_role: "operator",
        at: SystemClock.now(),
        context: &context,
    };
    match accounts.register(registration, role, &by).await {
        Ok(_) | Err(RegisterError::EmailTaken) => Ok(()),
        Err(error) => Err(error).context("no account"),
    }
}

/// 64 hexadecimal digits that nobody can guess.
pub(crate) fn random_text() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow!("the system gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
