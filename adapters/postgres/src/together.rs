//! What several callers want at the same time, in one statement.
//!
//! A statement costs the server its start, its commit and an answer, whatever it does. While one is
//! under way, what is asked for meanwhile gathers, and goes together after it: nobody waits for company,
//! and the busier it is, the cheaper each becomes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sqlx::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver};
use tracing::{Instrument, Span};

use crate::error::is_unavailable;
use crate::pool::within;

/// More are another statement: what is locked together should not be much.
const MOST: usize = 32;

/// Something that can be done for several callers by one statement.
#[async_trait]
pub(crate) trait Work: Send + Sync + 'static {
    /// What one caller wants.
    type Item: Send + Sync;
    /// What comes of it.
    type Answer: Send;

    /// Does all of it, or nothing; the answers are in the order of the items, of which there is at
    /// least one.
    async fn run(&self, items: &[Self::Item]) -> sqlx::Result<Vec<Self::Answer>>;
}

/// Does it, one statement at a time.
pub(crate) struct Together<W: Work>(Arc<Inner<W>>);

struct Inner<W: Work> {
    work: W,
    state: Mutex<State<W>>,
}

struct State<W: Work> {
    waiting: Vec<Caller<W>>,
    /// Whether a statement is under way, after which somebody sees to what waits.
    busy: bool,
}

struct Caller<W: Work> {
    item: W::Item,
    answer: oneshot::Sender<sqlx::Result<W::Answer>>,
    /// In which it is told what was done for this one.
    span: Span,
}

impl<W: Work> Clone for Together<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: Work> fmt::Debug for Together<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

impl<W: Work> Together<W> {
    pub(crate) fn new(work: W) -> Self {
        let state = Mutex::new(State {
            waiting: Vec::new(),
            busy: false,
        });
        Self(Arc::new(Inner { work, state }))
    }

    /// What comes of an item. A statement that serves several is told to the span of the first of
    /// them.
    pub(crate) async fn ask(&self, item: W::Item) -> sqlx::Result<W::Answer> {
        let item = match self.join(item) {
            Ok(answered) => return answered.await.unwrap_or(Err(Error::WorkerCrashed)),
            Err(item) => item,
        };
        // Nobody else is there: without a task of its own, which would cost another thread's waking.
        let _turn = Turn(self.0.clone());
        self.0.alone(&item).await
    }

    /// Waits with the others for the statement that is under way; with none there, the item comes back,
    /// and the turn is its caller's.
    fn join(&self, item: W::Item) -> Result<Receiver<sqlx::Result<W::Answer>>, W::Item> {
        let mut state = self.0.state();
        if !std::mem::replace(&mut state.busy, true) {
            return Err(item);
        }
        let (answer, answered) = oneshot::channel();
        let span = Span::current();
        state.waiting.push(Caller { item, answer, span });
        Ok(answered)
    }
}

impl<W: Work> Inner<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who go next; with nobody there it is nobody's turn.
    fn next(&self) -> Vec<Caller<W>> {
        let mut state = self.state();
        let count = state.waiting.len().min(MOST);
        let next: Vec<_> = state.waiting.drain(..count).collect();
        state.busy = !next.is_empty();
        next
    }

    async fn alone(&self, item: &W::Item) -> sqlx::Result<W::Answer> {
        let answers = within(self.work.run(std::slice::from_ref(item))).await;
        answers.and_then(|mut all| all.pop().ok_or(Error::RowNotFound))
    }

    async fn serve(&self, callers: Vec<Caller<W>>) {
        let (items, answers): (Vec<_>, Vec<_>) = callers
            .into_iter()
            .map(|one| (one.item, one.answer))
            .unzip();
        let error = match within(self.work.run(&items)).await {
            Ok(all) => {
                for (answer, to) in all.into_iter().zip(answers) {
                    // A caller that gave up wants no answer.
                    let _ = to.send(Ok(answer));
                }
                return;
            }
            Err(error) => error,
        };
        let single = items.len() == 1;
        let mut last = Some(error);
        for (item, to) in items.iter().zip(answers) {
            let answer = match last.take() {
                Some(error) if single => Err(error),
                // What the server does not do for all it does for none of them.
                Some(error) if is_unavailable(&error) => {
                    let copy = std::io::Error::other(error.to_string());
                    last = Some(error);
                    Err(Error::Io(copy))
                }
                // One may have spoiled it for the others.
                _ => self.alone(item).await,
            };
            let _ = to.send(answer);
        }
    }
}

/// Somebody's turn to have a statement under way. However it ends (by an answer, by a caller that gives
/// up, by a panic), what has gathered is seen to next.
struct Turn<W: Work>(Arc<Inner<W>>);

impl<W: Work> Drop for Turn<W> {
    fn drop(&mut self) {
        let next = self.0.next();
        let Some(first) = next.first() else {
            return;
        };
        let span = first.span.clone();
        match Handle::try_current() {
            Ok(runtime) => {
                let turn = Self(self.0.clone());
                // By a task: a caller that gives up must not take the others along.
                let serve = async move { turn.0.serve(next).await };
                drop(runtime.spawn(serve.instrument(span)));
            }
            // Those who wait are told, and may ask again.
            Err(_) => {
                let mut state = self.0.state();
                state.waiting.clear();
                state.busy = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use shopflow_testkit::wait_until;
    use tokio::sync::Semaphore;

    use super::*;

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

    /// Answers with the item; one below 0 spoils its statement, 0 finds the server away, and 100 panics.
    struct Echo {
        statements: Mutex<Vec<Vec<i32>>>,
        /// A permit for each statement that may end.
        gate: Semaphore,
    }

    #[async_trait]
    impl Work for Arc<Echo> {
        type Item = i32;
        type Answer = i32;

        async fn run(&self, items: &[i32]) -> sqlx::Result<Vec<i32>> {
            self.statements.lock().unwrap().push(items.to_vec());
            self.gate.acquire().await.unwrap().forget();
            assert!(!items.contains(&100), "so it was asked");
            match items {
                items if items.contains(&0) => Err(Error::PoolTimedOut),
                items if items.iter().any(|item| *item < 0) => Err(Error::RowNotFound),
                items => Ok(items.to_vec()),
            }
        }
    }

    fn echo(permits: usize) -> (Arc<Echo>, Together<Arc<Echo>>) {
        let echo = Arc::new(Echo {
            statements: Mutex::default(),
            gate: Semaphore::new(permits),
        });
        (echo.clone(), Together::new(echo))
    }

    /// What comes of these, asked for while a first one is under way; which gets its answer with them.
    async fn gathered(
        echo: &Arc<Echo>,
        together: &Together<Arc<Echo>>,
        items: &[i32],
    ) -> Vec<sqlx::Result<i32>> {
        let first = tokio::spawn({
            let together = together.clone();
            async move { together.ask(1).await }
        });
        let begun = async || echo.statements.lock().unwrap().len() == 1;
        wait_until("the first is under way", PATIENCE, begun).await;
        let others = join_all(items.iter().map(|item| together.ask(*item)));
        let open = async {
            let all = async || together.0.state().waiting.len() == items.len();
            wait_until("all wait", PATIENCE, all).await;
            echo.gate.add_permits(100);
        };
        let (others, ()) = tokio::join!(others, open);
        assert_eq!(first.await.unwrap().unwrap(), 1);
        others
    }

    #[tokio::test]
    async fn what_gathers_during_a_statement_is_the_next_one() {
        let (echo, together) = echo(0);
        let answers = gathered(&echo, &together, &[2, 3, 4]).await;
        let answers: Vec<i32> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [2, 3, 4]);
        let statements = echo.statements.lock().unwrap().clone();
        assert_eq!(statements, [vec![1], vec![2, 3, 4]]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_done_spoils_it_for_nobody_else() {
        let (echo, together) = echo(0);
        let answers = gathered(&echo, &together, &[2, -3, 4]).await;
        assert!(matches!(
            answers[..],
            [Ok(2), Err(Error::RowNotFound), Ok(4)]
        ));
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_asked_once_for_all() {
        let (echo, together) = echo(0);
        let answers = gathered(&echo, &together, &[2, 0, 4]).await;
        let away = |answer: &sqlx::Result<i32>| answer.as_ref().is_err_and(is_unavailable);
        assert!(answers.iter().all(away), "{answers:?}");
        assert_eq!(echo.statements.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn who_gives_up_takes_nobody_along() {
        let (echo, together) = echo(0);
        let given_up = tokio::spawn({
            let together = together.clone();
            async move { together.ask(1).await }
        });
        let begun = async || echo.statements.lock().unwrap().len() == 1;
        wait_until("it is asked", PATIENCE, begun).await;
        let other = async {
            let waits = async || together.0.state().waiting.len() == 1;
            wait_until("another waits", PATIENCE, waits).await;
            given_up.abort();
            echo.gate.add_permits(2);
        };
        let (answer, ()) = tokio::join!(together.ask(2), other);
        assert_eq!(answer.unwrap(), 2);
        assert_eq!(together.ask(3).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn after_a_panic_nobody_waits_and_the_next_is_served() {
        let (echo, together) = echo(0);
        let answers = gathered(&echo, &together, &[2, 100]).await;
        let crashed = |answer: &sqlx::Result<i32>| matches!(answer, Err(Error::WorkerCrashed));
        assert!(answers.iter().all(crashed), "{answers:?}");
        assert_eq!(together.ask(2).await.unwrap(), 2);
        let alone = tokio::spawn({
            let together = together.clone();
            async move { together.ask(100).await }
        });
        assert!(alone.await.unwrap_err().is_panic());
        assert_eq!(together.ask(2).await.unwrap(), 2);
    }
}
