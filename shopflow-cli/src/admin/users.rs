//! `shopflow users`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use core_auth::{
    Accounts, Email, Password, PasswordCrypto, PersonName, RegisterError, Registration,
    ScryptParams, UserRole,
};
use core_kernel::{RequestContext, SystemClock};
use secrecy::{ExposeSecret, SecretString};
use shopflow_hashing::BlockingHasher;

use super::actor::doing;
use super::output::say;
use super::place::failed;
use crate::Failure;
use crate::cli::{CreateAdminArgs, UsersCommand};
use crate::config::{Problems, admin_password};
use crate::serve::block_on;

pub(crate) fn run(command: &UsersCommand) -> Result<(), Failure> {
    match command {
        UsersCommand::CreateAdmin(args) => create_admin(args),
    }
}

fn create_admin(args: &CreateAdminArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
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
            place.open("shopflow users", 2).await?.users(),
            Arc::new(hasher(scrypt)?),
            Arc::new(SystemClock),
        );
        let context = RequestContext::generate();
        let by = doing(&context);
        let made = accounts.register(registration, UserRole::Admin, &by).await;
        let user = match made {
            Ok(user) => user,
            Err(RegisterError::EmailTaken) => {
                return Err(anyhow!("an account with this email exists already").into());
            }
            Err(error) => {
                let error = anyhow::Error::new(error).context(failed("auth"));
                return Err(Failure::Failed(error.context("no admin was made")));
            }
        };
        say(&format!("admin {} made", user.id))
    })
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

fn hasher(params: ScryptParams) -> anyhow::Result<BlockingHasher> {
    let crypto = PasswordCrypto::new(params);
    Ok(BlockingHasher::new(crypto, 1, Duration::from_secs(60)))
}
