//! `shopflow users`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use core_auth::{
    Accounts, Doing, Email, Password, PasswordCrypto, PersonName, RegisterError, Registration,
    ScryptParams, UserRole, UserStore,
};
use core_kernel::{Clock, RequestContext, SystemClock};
use secrecy::{ExposeSecret, SecretString};
use shopflow_embedded::Database;
use shopflow_hashing::BlockingHasher;
use shopflow_postgres::{PgUserStore, pool};

use crate::Failure;
use crate::cli::{CreateAdminArgs, UsersCommand};
use crate::config::{DatabaseConfig, Problems, admin_password};
use crate::dev::Folder;
use crate::serve::block_on;

pub(crate) fn run(command: &UsersCommand) -> Result<(), Failure> {
    match command {
        UsersCommand::CreateAdmin(args) => create_admin(args),
    }
}

#[expect(clippy::print_stdout, reason = "a command tells people what it did")]
fn create_admin(args: &CreateAdminArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = match &args.data_dir {
        Some(folder) => Some(Place::Folder(folder.clone())),
        None => args.database.check(&mut problems).map(Place::Server),
    };
    let scrypt = args.scrypt.check(&mut problems);
    let email = problems.take("--email", Email::parse(&args.email));
    let first_name = problems.take("--first-name", PersonName::parse(&args.first_name));
    let last_name = problems.take("--last-name", PersonName::parse(&args.last_name));
    let settings = place.zip(scrypt).zip(email).zip(first_name).zip(last_name);
    let ((((place, scrypt), email), first_name), last_name) = problems.finish(settings)?;
    let password = password()?;
    let registration = Registration {
        email,
        password,
        first_name,
        last_name,
        phone: None,
    };
    block_on(async {
        let accounts = Accounts::new(
            place.users().await?,
            Arc::new(hasher(scrypt)?),
            Arc::new(SystemClock),
        );
        let context = RequestContext::generate();
        let by = Doing {
            actor_id: actor(),
            actor_role: "operator",
            at: SystemClock.now(),
            context: &context,
        };
        let made = accounts.register(registration, UserRole::Admin, &by).await;
        let user = match made {
            Ok(user) => user,
            Err(RegisterError::EmailTaken) => {
                return Err(anyhow!("an account with this email exists already"));
            }
            Err(error) => {
                return Err(error).context(
                    "no admin was made (is the database migrated? see: shopflow migrate auth)",
                );
            }
        };
        println!("admin {} made", user.id);
        Ok(())
    })
}

/// Where the accounts are.
enum Place {
    /// In PostgreSQL.
    Server(DatabaseConfig),
    /// In a folder of `shopflow dev`, which may be running on it.
    Folder(PathBuf),
}

impl Place {
    async fn users(&self) -> anyhow::Result<Arc<dyn UserStore>> {
        match self {
            Self::Server(database) => {
                let pool = pool(database.url.expose(), 2, "shopflow users");
                Ok(Arc::new(PgUserStore::new(pool.context("DATABASE_URL")?)))
            }
            Self::Folder(folder) => {
                let file = Folder::database_in(folder)?;
                let database = Database::open(&file).await;
                let database =
                    database.with_context(|| format!("{} is of no use", file.display()))?;
                Ok(Arc::new(database.users()))
            }
        }
    }
}

/// From the environment or, at a terminal, from a prompt; never from an argument, which everybody
/// on the machine could read.
fn password() -> Result<Password, Failure> {
    const NAME: &str = "SHOPFLOW_ADMIN_PASSWORD";
    let mut problems = Problems::default();
    let given = admin_password(&mut problems).map(|secret| secret.value);
    problems.finish(Some(()))?;
    let text = match given {
        Some(password) => password,
        None => rpassword::prompt_password("Password: ")
            .map(SecretString::from)
            .map_err(|_| Problems::one(NAME, "is required where there is no terminal to ask at"))?,
    };
    Password::parse(text.expose_secret()).map_err(|fault| Problems::one(NAME, fault).into())
}

/// Who is at the terminal, as far as the system knows.
#[expect(
    clippy::disallowed_methods,
    reason = "the name of the person is not a setting"
)]
pub(super) fn actor() -> String {
    let name = std::env::var("USER").unwrap_or_default();
    let name: String = name.chars().take(100).collect();
    format!("cli:{name}")
}

fn hasher(params: ScryptParams) -> anyhow::Result<BlockingHasher> {
    let crypto = PasswordCrypto::new(params);
    Ok(BlockingHasher::new(crypto, 1, Duration::from_secs(60)))
}
