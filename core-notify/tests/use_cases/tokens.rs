//! Mails that carry a one-time token: it is in the mail and nowhere else.

use core_kernel::RequestContext;
use core_notify::testing::token_event;
use core_notify::{Draft, Mail};
use secrecy::SecretString;

use super::*;

const TOKEN: &str = "5ca1ab1e";

async fn deliver(mocks: Mocks, attempt: u32) -> Outcome {
    let body = token_event("UserPasswordResetRequested").to_string();
    let delivery = Delivery {
        body: body.as_bytes(),
        attempt,
        again: attempt > 1,
        revive: attempt == 1,
    };
    handle(mocks, delivery).await
}

/// What was written down, as the store hands it out to be sent.
fn claims(drafts: &[Draft]) -> Vec<Claim> {
    drafts
        .iter()
        .map(|draft| {
            Claim::Send(Job {
                content: draft.content.clone(),
                ..job(draft.channel)
            })
        })
        .collect()
}

fn mocks() -> Mocks {
    let mut mocks = Mocks::default();
    mocks
        .contacts
        .expect_contact()
        .returning(|_, _| Ok(contact()));
    mocks
        .store
        .expect_enqueue()
        .withf(|drafts: &[Draft]| {
            let content = &drafts[0].content;
            let plain = content.plain.as_deref().unwrap();
            let masked = plain.contains("token=********") && !plain.contains(TOKEN);
            let mail_only = drafts.len() == 1 && drafts[0].channel == Channel::Email;
            let stored = (drafts[0].type_key, drafts[0].order_id);
            masked && mail_only && stored == ("password_reset", None)
        })
        .returning(|drafts| Ok(claims(drafts)));
    mocks
}

fn telling(mut mocks: Mocks, answer: fn() -> Result<SecretString, ReadError>) -> Mocks {
    mocks
        .tokens
        .expect_token()
        .times(1)
        .returning(move |_, _: &RequestContext| answer());
    mocks
}

#[tokio::test]
async fn the_token_is_in_the_mail_and_not_in_what_is_stored() {
    let mut mocks = telling(mocks(), || Ok(TOKEN.into()));
    mocks
        .email
        .expect_send()
        .withf(|mail: &Mail<'_>| {
            let link = format!("token={TOKEN}");
            let whole = |text: &str| text.contains(TOKEN) && !text.contains("****");
            whole(mail.html) && whole(mail.plain) && mail.plain.contains(&link)
        })
        .times(1)
        .returning(|_| Ok("ses-1".into()));
    mocks.store.expect_mark_sent().returning(|_, _| ());
    assert_eq!(deliver(mocks, 1).await, Outcome::Done);
}

#[tokio::test]
async fn nobody_is_asked_for_the_token_of_a_mail_that_was_sent() {
    let mut mocks = Mocks::default();
    mocks
        .store
        .expect_reclaim()
        .returning(|_, _| Ok(vec![Claim::Sent(Channel::Email)]));
    // The mock of the tokens expects nothing.
    assert_eq!(deliver(mocks, 2).await, Outcome::Done);
}

#[tokio::test]
async fn a_token_that_works_no_more_is_a_failure_at_once() {
    let mut mocks = telling(mocks(), || Err(ReadError::Gone("the token")));
    mocks
        .store
        .expect_mark_failed()
        .times(1)
        .returning(|_, _, _| Ok(()));
    let outcome = deliver(mocks, 1).await;
    let expired = matches!(&outcome, Outcome::Dead { class, .. } if *class == "expired");
    assert!(expired, "{outcome:?}");
}

#[tokio::test]
async fn while_auth_is_away_the_mail_waits_and_nothing_is_held() {
    let mut mocks = telling(mocks(), || Err(ReadError::Away("the token", "gone".into())));
    mocks
        .store
        .expect_release()
        .withf(|_, attempt, _| attempt.is_none())
        .times(1)
        .returning(|_, _, _| Ok(()));
    let outcome = deliver(mocks, 1).await;
    assert!(matches!(outcome, Outcome::Wait { .. }), "{outcome:?}");
}
