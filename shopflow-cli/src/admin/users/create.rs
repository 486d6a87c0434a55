//! `shopflow users create-admin`.

use anyhow::anyhow;
use core_auth::{Email, PersonName, RegisterError, Registration, UserRole};
use core_kernel::RequestContext;
use shopflow_http::view;

use super::password::{password, with_hasher};
use crate::Failure;
use crate::admin::actor::doing;
use crate::admin::output::{json, say};
use crate::admin::place::failed;
use crate::cli::{CreateAdminArgs, Output};
use crate::config::{ADMIN_PASSWORD, Problems};

pub(super) async fn create_admin(args: &CreateAdminArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let scrypt = args.scrypt.check(&mut problems);
    let email = problems.take("--email", Email::parse(&args.email));
    let first_name = problems.take("--first-name", PersonName::parse(&args.first_name));
    let last_name = problems.take("--last-name", PersonName::parse(&args.last_name));
    let settings = place.zip(scrypt).zip(email).zip(first_name).zip(last_name);
    let ((((place, scrypt), email), first_name), last_name) = problems.finish(settings)?;
    let password = password(ADMIN_PASSWORD)?;
    let registration = Registration {
        email,
        password,
        first_name,
        last_name,
        phone: None,
    };
    let data = place.open("shopflow users", 2).await?;
    let accounts = with_hasher(&data, scrypt);
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
    match args.output.output {
        Output::Json => json(&view::user(&user)),
        Output::Table => say(&format!("admin {} made", user.id)),
    }
}
