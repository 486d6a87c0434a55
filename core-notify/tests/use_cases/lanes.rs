//! Providers that fail across messages, and answers that were lost.

use super::*;

fn failing(lanes: &Arc<Lanes>, answer: fn() -> SendError) -> Mocks {
    let mut mocks = usual();
    mocks.lanes = lanes.clone();
    mocks.email.expect_send().returning(move |_| Err(answer()));
    mocks.sms.expect_send().returning(|_| Ok("SM1".into()));
    mocks.store.expect_mark_sent().returning(|_, _| ());
    mocks.store.expect_release().returning(|_, _, _| Ok(()));
    mocks
        .store
        .expect_reclaim()
        .returning(|_, _| Ok(vec![Claim::Send(job(Channel::Email))]));
    mocks
}

fn throttled() -> SendError {
    SendError::NotNow("429".into())
}

fn lost() -> SendError {
    SendError::Unknown("reset".into())
}

#[tokio::test]
async fn a_provider_that_fails_recipient_after_recipient_uses_up_no_attempts() {
    for answer in [throttled, lost] {
        let lanes = Arc::default();
        for _ in 0..4 {
            let outcome = deliver(failing(&lanes, answer), 1).await;
            assert!(retry(1, &outcome), "{outcome:?}");
        }
        // The fifth, and every one after it, be it its last attempt.
        for attempt in [1, 4] {
            let outcome = deliver(failing(&lanes, answer), attempt).await;
            assert!(matches!(outcome, Outcome::Wait { .. }), "{outcome:?}");
        }
        assert!(lanes.email.breaker.is_open() && !lanes.sms.breaker.is_open());
    }
}

#[tokio::test]
async fn while_sending_is_paused_nobody_is_called_and_nothing_is_recorded_as_an_attempt() {
    let lanes: Arc<Lanes> = Arc::default();
    for _ in 0..5 {
        deliver(failing(&lanes, throttled), 1).await;
    }
    let mut mocks = usual();
    mocks.lanes = lanes;
    // The mock of the mails expects nothing; texts go on.
    mocks
        .sms
        .expect_send()
        .times(1)
        .returning(|_| Ok("SM1".into()));
    mocks.store.expect_mark_sent().returning(|_, _| ());
    mocks
        .store
        .expect_release()
        .withf(|_, attempt, reason| attempt.is_none() && reason.contains("paused"))
        .times(1)
        .returning(|_, _, _| Ok(()));
    let outcome = deliver(mocks, 1).await;
    assert!(matches!(outcome, Outcome::Wait { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_neighbour_that_answers_nonsense_event_after_event_is_waited_for() {
    let lanes: Arc<Lanes> = Arc::default();
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        let mut mocks = usual();
        mocks.lanes = lanes.clone();
        mocks.orders = MockOrderReader::new();
        mocks
            .orders
            .expect_order()
            .returning(|_, _| Err(ReadError::Broken("the order", "500".into())));
        outcomes.push(deliver(mocks, 1).await);
    }
    // Contacts are read well meanwhile, which does not make up for the orders.
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::Wait { .. });
    let waiting: Vec<_> = outcomes.iter().map(waits).collect();
    assert_eq!(waiting, [false, false, false, false, true, true]);
}

fn parking() -> Arc<Lanes> {
    let email = Lane {
        ambiguous: Ambiguous::Park,
        ..Lane::default()
    };
    Arc::new(Lanes {
        email,
        ..Lanes::default()
    })
}

#[tokio::test]
async fn where_that_is_the_policy_a_lost_answer_is_left_to_people() {
    let mut mocks = failing(&parking(), lost);
    mocks
        .store
        .expect_mark_failed()
        .withf(|_, attempt, _| attempt.unwrap().outcome == AttemptOutcome::Unknown)
        .times(1)
        .returning(|_, _, _| Ok(()));
    let outcome = deliver(mocks, 1).await;
    let Outcome::Dead {
        class, channels, ..
    } = outcome
    else {
        panic!("not dead")
    };
    assert_eq!((class, channels), ("ambiguous", vec![Channel::Email]));
}

/// The mail of a process that died while it was being sent, delivered again.
async fn after_a_crash(mut mocks: Mocks, revive: bool) -> Outcome {
    mocks.store.expect_reclaim().returning(|_, _| {
        let maybe_sent = true;
        let claimed = Job {
            maybe_sent,
            ..job(Channel::Email)
        };
        Ok(vec![Claim::Send(claimed)])
    });
    deliver_again(mocks, 1, true, revive).await
}

#[tokio::test]
async fn what_may_have_been_sent_before_a_crash_is_parked_and_sent_when_it_is_replayed() {
    let mut mocks = usual();
    mocks.lanes = parking();
    mocks
        .store
        .expect_mark_failed()
        .withf(|_, attempt, _| attempt.is_none())
        .times(1)
        .returning(|_, _, _| Ok(()));
    let parked = after_a_crash(mocks, false).await;
    let parked = matches!(&parked, Outcome::Dead { class, .. } if *class == "ambiguous");
    assert!(parked);

    let mut mocks = usual();
    mocks.lanes = parking();
    mocks
        .email
        .expect_send()
        .times(1)
        .returning(|_| Ok("ses-1".into()));
    mocks.store.expect_mark_sent().returning(|_, _| ());
    assert_eq!(after_a_crash(mocks, true).await, Outcome::Done);
}
