//! `shopflow users reset-password`, and where passwords come from.

use std::sync::Arc;
use std::time::Duration;

use core_auth::{
    Accounts, Auth, AuthSettings, Keys, Mailbox, Password, PasswordCrypto, Revocations,
    ScryptParams, User,
};
use core_kernel::{RequestContext, SystemClock};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shopflow_hashing::BlockingHasher;

use super::{broken, failure};
use crate::Failure;
use crate::admin::actor::doing;
use crate::admin::ask::confirm;
use crate::admin::orders::Elsewhere;
use crate::admin::output::{json, say};
use crate::admin::place::Data;
use crate::admin::token::dev_keys;
use crate::cli::{Output, ResetPasswordArgs};
use crate::config::{NEW_PASSWORD, PasswordSource, Problems};

/// From the environment or, at a terminal, from a prompt; never from an argument, which everybody
/// on the machine could read.
pub(super) fn password(source: PasswordSource) -> Result<Password, Failure> {
    let name = source.name;
    let mut problems = Problems::default();
    let given = source.read(&mut problems).map(|secret| secret.value);
    problems.finish(Some(()))?;
    let text = match given {
        Some(password) => password,
        None => rpassword::prompt_password("Password: ")
            .map(SecretString::from)
            .map_err(|_| Problems::one(name, "is required where there is no terminal to ask at"))?,
    };
    Password::parse(text.expose_secret()).map_err(|fault| Problems::one(name, fault).into())
}

/// The use cases of accounts, with hashes that cost so much.
pub(super) fn with_hasher(data: &Data, params: ScryptParams) -> Accounts {
    let crypto = PasswordCrypto::new(params);
    let hasher = BlockingHasher::new(crypto, 1, Duration::from_secs(60));
    Accounts::new(data.users(), Arc::new(hasher), Arc::new(SystemClock))
}

pub(super) async fn reset(args: &ResetPasswordArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let scrypt = args.scrypt.check(&mut problems);
    let (place, scrypt) = problems.finish(place.zip(scrypt))?;
    let data = place.open("shopflow users", 2).await?;
    let accounts = with_hasher(&data, scrypt);
    let named = accounts.named(&args.user).await;
    let user = named.map_err(|error| failure(error, &args.user))?;
    match args.set {
        true => set(args, &accounts, &user).await,
        false => mail(args, &data, accounts, &user).await,
    }
}

async fn set(args: &ResetPasswordArgs, accounts: &Accounts, user: &User) -> Result<(), Failure> {
    let new = password(NEW_PASSWORD)?;
    let email = user.email.as_str();
    let question = format!("Set another password for {email}, and end all sessions?");
    confirm(&question, args.yes.yes)?;
    let context = RequestContext::generate();
    let by = doing(&context);
    let done = accounts.set_password(user.id, new, &by).await;
    done.map_err(|error| failure(error, &args.user))?;
    match args.output.output {
        Output::Json => json(&json!({ "user_id": user.id, "done": "set" })),
        Output::Table => say(&format!("{email} has another password, and no session")),
    }
}

/// Auth's own flow: a token that only the mail has, by the same outbox and queues.
async fn mail(
    args: &ResetPasswordArgs,
    data: &Data,
    accounts: Accounts,
    user: &User,
) -> Result<(), Failure> {
    let email = user.email.as_str();
    if !user.is_active {
        let why =
            format!("{email} is deactivated, and is sent no mail; see: shopflow users activate");
        return Err(Failure::Refused(why));
    }
    let keys = match &args.place.data_dir {
        Some(folder) => dev_keys(folder)?,
        None => args.keys.resolve()?,
    };
    let mailbox = Mailbox {
        tokens: data.one_time_tokens(),
        relay: Arc::new(Elsewhere),
    };
    let auth = Auth::new(
        accounts,
        data.sessions(),
        mailbox,
        Keys::new(keys),
        Arc::new(Revocations::default()),
        AuthSettings::default(),
    );
    let context = RequestContext::generate();
    let by = doing(&context);
    let asked = auth.mail_password_reset(&user.email, &by).await;
    asked.map_err(broken)?;
    match args.output.output {
        Output::Json => json(&json!({ "user_id": user.id, "done": "mail_asked" })),
        Output::Table => say(&format!(
            "{email} is sent a mail, unless one was sent within the last minute"
        )),
    }
}
