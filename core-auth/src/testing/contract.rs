//! What every store of accounts and sessions promises, one function a promise. Run all of them on
//! an adapter with [`auth_store_contract!`](crate::auth_store_contract).

mod accounts;
mod changes;
mod sessions;

use std::sync::Arc;

use core_kernel::Outbox;
use jiff::SignedDuration;

use super::{account, refresh_token, session};
use crate::ports::{OneTimeStore, SessionStore, UserStore};
use crate::session::{NewSession, Refusal, Rotation, RotationOutcome, StoredRefresh};
use crate::user::Account;

pub use super::one_time::*;
pub use accounts::*;
pub use changes::*;
pub use sessions::*;

/// The stores under test.
#[derive(Clone)]
pub struct Fixture {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Sessions of the same accounts.
    pub sessions: Arc<dyn SessionStore>,
    /// One-time tokens of the same accounts.
    pub one_time: Arc<dyn OneTimeStore>,
    /// The events that they raise.
    pub outbox: Arc<dyn Outbox>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! auth_store_contract {
    ($fixture:path) => {
        $crate::auth_store_contract!(@tests $fixture,
            an_account_is_found_by_id_and_by_email,
            an_unknown_account_is_none,
            accounts_looked_for_at_once_are_each_found,
            an_email_is_taken_once_however_close_the_race,
            a_hash_is_replaced_only_while_it_is_the_old_one,
            a_session_knows_its_user,
            no_session_begins_on_what_has_changed_since_it_was_read,
            an_unknown_session_is_none,
            sessions_are_listed_newest_first_with_what_became_of_them,
            a_refresh_token_works_once,
            a_token_used_again_ends_its_session,
            within_the_grace_the_same_token_gets_another_pair,
            the_grace_counts_from_the_first_use,
            an_unknown_refresh_token_ends_nothing,
            of_twenty_racing_refreshes_one_is_first,
            an_ended_session_gives_no_pair_and_stays_ended,
            one_session_ends_and_is_audited_once,
            all_sessions_of_a_user_end_and_no_other,
            what_was_revoked_of_late_is_told,
            an_account_is_found_with_its_hash,
            a_change_is_found_whole_with_its_audit,
            a_stale_change_is_a_conflict_and_writes_nothing,
            of_twenty_racing_changes_one_wins,
            a_change_ends_all_sessions_but_the_one_it_keeps,
            a_change_ends_what_was_issued_while_it_was_under_way,
            a_refresh_after_a_change_is_told_the_account_as_it_now_is,
            a_clock_that_is_fast_ends_no_tokens_to_come,
            an_account_is_made_together_with_its_audit,
            an_entry_to_which_no_change_belongs_is_told_too,
            a_list_of_users_holds_only_what_passes_the_filter,
            an_address_that_nobody_can_have_is_nobodys,
            pages_of_users_neither_repeat_nor_skip,
            a_request_is_found_with_its_audit_and_its_event,
            an_unknown_one_time_token_is_none,
            a_request_of_nobody_is_stored,
            a_request_too_soon_after_another_is_nobodys,
            a_change_by_a_token_is_found_whole,
            of_twenty_racing_uses_of_a_token_one_wins,
            a_used_token_is_a_conflict_and_changes_nothing,
            a_new_password_ends_the_tokens_for_setting_one,
            an_account_is_made_together_with_its_verification,
            expired_tokens_are_forgotten_in_batches,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise($fixture().await).await;
        }
    )+};
}

pub(super) async fn registered(fixture: &Fixture) -> Account {
    let account = account();
    fixture
        .users
        .insert(&account, &[], None)
        .await
        .expect("an insert");
    account
}

pub(super) async fn begun(fixture: &Fixture) -> (Account, NewSession) {
    let account = registered(fixture).await;
    let session = session(&account.user);
    fixture.sessions.start(&session).await.expect("a start");
    (account, session)
}

/// An exchange of `presented`, `after` seconds into the session.
fn rotation(session: &NewSession, presented: &StoredRefresh, after: i64, grace: i64) -> Rotation {
    let at = session.at + SignedDuration::from_secs(after);
    Rotation {
        session_id: session.id,
        presented: presented.hash,
        next: refresh_token(at),
        at,
        grace: SignedDuration::from_secs(grace),
    }
}

async fn rotate(fixture: &Fixture, rotation: &Rotation) -> Result<(), Refusal> {
    match fixture.sessions.rotate(rotation).await.expect("an answer") {
        RotationOutcome::Rotated(_) => Ok(()),
        RotationOutcome::Refused(refusal) => Err(refusal),
    }
}

pub(super) async fn has_ended(fixture: &Fixture, session: &NewSession) -> bool {
    let state = fixture
        .sessions
        .access(session.id)
        .await
        .expect("an answer");
    state.expect("a session").ended
}
