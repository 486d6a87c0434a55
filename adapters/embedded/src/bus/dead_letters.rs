//! Dead letters in hand. A letter leaves in the transaction that puts it where it goes.

use std::collections::HashSet;

use async_trait::async_trait;
use core_kernel::OrderId;
use core_notify::{
    DeadLetter, DeadLetterError, DeadLetterLog, DeadLetterNote, DeadLetters, Discarded,
    LetterAction, LettersInHand, WorkQueue,
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{DeadLetterRow, SqliteBus};
use crate::database::Database;
use crate::error::Inconsistent;
use crate::value::Micros;

const COUNT: &str = "SELECT count(*) FROM dead_letters WHERE queue = ?1";

const TAKE: &str = "
    SELECT id, queue, message_id, event_type, body, error_class, error_message, attempts,
           first_failed_at, failed_at, failed_channels, traceparent, tracestate
    FROM dead_letters WHERE queue = ?1 ORDER BY failed_at, id";

const REVIVE: &str = "
    INSERT INTO bus_messages (queue, message_id, event_type, body, traceparent, tracestate, due_at)
    SELECT queue, message_id, event_type, body, traceparent, tracestate, ?2
    FROM dead_letters WHERE id = ?1";

const DISCARD: &str = "DELETE FROM dead_letters WHERE id = ?1";

const PUT: &str = "
    INSERT INTO dead_letters (queue, message_id, event_type, body, traceparent, tracestate,
                              error_class, error_message, attempts, first_failed_at, failed_at,
                              failed_channels)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, substr(?8, 1, 1000), ?9, ?10, ?11, ?12)";

const NOTE: &str = "
    INSERT INTO dead_letter_log (message_id, queue, class, action, reason, actor, at, order_id,
                                 event_type)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const NOTES: &str = "
    SELECT id, message_id, order_id, event_type, queue, class, action, reason, actor, at
    FROM dead_letter_log WHERE message_id = ?1 ORDER BY id";

const DISCARDED: &str = "
    SELECT DISTINCT message_id, order_id, event_type FROM dead_letter_log AS noted
    WHERE action = 'discard' AND (order_id = ?1 OR message_id = ?2)
      AND NOT EXISTS (SELECT 1 FROM dead_letter_log AS later
                      WHERE later.message_id = noted.message_id AND later.id > noted.id
                        AND later.action <> 'discard')";

#[derive(FromRow)]
struct TakenRow {
    id: i64,
    #[sqlx(flatten)]
    letter: DeadLetterRow,
}

struct InHand {
    database: Database,
    ids: Vec<i64>,
    letters: Vec<DeadLetter>,
}

impl InHand {
    async fn remove(&self, places: &[usize], revive: bool) -> sqlx::Result<Vec<bool>> {
        let due = Micros(self.database.clock.now());
        let mut transaction = self.database.write().await?;
        let mut removed = Vec::with_capacity(places.len());
        for place in places {
            let id = self.ids[*place];
            if revive {
                let revived = sqlx::query(REVIVE).bind(id).bind(due);
                revived.execute(&mut *transaction).await?;
            }
            let gone = sqlx::query(DISCARD).bind(id);
            let gone = gone.execute(&mut *transaction).await?;
            removed.push(gone.rows_affected() == 1);
        }
        transaction.commit().await?;
        Ok(removed)
    }
}

fn failed(error: sqlx::Error) -> DeadLetterError {
    DeadLetterError(error.into())
}

#[async_trait]
impl LettersInHand for InHand {
    fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    async fn replay(&mut self, places: &[usize]) -> Result<Vec<bool>, DeadLetterError> {
        let replayed = self.remove(places, true).await.map_err(failed)?;
        self.database.traffic.published.send_replace(());
        Ok(replayed)
    }

    async fn discard(&mut self, places: &[usize]) -> Result<Vec<bool>, DeadLetterError> {
        self.remove(places, false).await.map_err(failed)
    }

    async fn put_back(self: Box<Self>) -> Result<(), DeadLetterError> {
        Ok(())
    }
}

impl SqliteBus {
    async fn add(&self, letters: &[DeadLetter]) -> sqlx::Result<Vec<bool>> {
        let mut transaction = self.0.write().await?;
        let mut taken = Vec::with_capacity(letters.len());
        for letter in letters {
            let body = str::from_utf8(&letter.body);
            let (Some(queue), Ok(body)) = (WorkQueue::named(&letter.queue), body) else {
                taken.push(false);
                continue;
            };
            let channels: Vec<&str> = letter.channels.iter().map(|one| one.as_str()).collect();
            sqlx::query(PUT)
                .bind(queue.name)
                .bind(letter.message_id.clone())
                .bind(letter.event_type.clone().unwrap_or_default())
                .bind(body.to_owned())
                .bind(letter.traceparent.clone().unwrap_or_default())
                .bind(letter.tracestate.clone())
                .bind(letter.class.clone())
                .bind(letter.reason.clone())
                .bind(letter.attempts)
                .bind(Micros(letter.first_failed_at))
                .bind(Micros(letter.failed_at))
                .bind(channels.join(","))
                .execute(&mut *transaction)
                .await?;
            taken.push(true);
        }
        transaction.commit().await?;
        Ok(taken)
    }

    async fn note_all(&self, notes: &[DeadLetterNote]) -> sqlx::Result<()> {
        let mut transaction = self.0.write().await?;
        for note in notes {
            sqlx::query(NOTE)
                .bind(note.message_id.clone())
                .bind(note.queue.clone())
                .bind(note.class.clone())
                .bind(note.action.as_str())
                .bind(note.reason.clone())
                .bind(note.actor.clone())
                .bind(Micros(note.at))
                .bind(note.order_id.map(|id| id.0))
                .bind(note.event_type.clone())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }
}

#[async_trait]
impl DeadLetters for SqliteBus {
    async fn count(&self, queue: WorkQueue) -> Result<u64, DeadLetterError> {
        let count = sqlx::query_scalar::<_, i64>(COUNT).bind(queue.name);
        let count = count.fetch_one(self.0.read()).await.map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    async fn take(&self, queue: WorkQueue) -> Result<Box<dyn LettersInHand>, DeadLetterError> {
        let rows = sqlx::query_as::<_, TakenRow>(TAKE).bind(queue.name);
        let rows = rows.fetch_all(self.0.read()).await.map_err(failed)?;
        let letters = rows.into_iter().map(|row| (row.id, row.letter.into()));
        let (ids, letters) = letters.unzip();
        Ok(Box::new(InHand {
            database: self.0.clone(),
            ids,
            letters,
        }))
    }

    async fn put(&self, letters: &[DeadLetter]) -> Result<Vec<bool>, DeadLetterError> {
        self.add(letters).await.map_err(failed)
    }
}

#[derive(FromRow)]
struct NoteRow {
    id: i64,
    message_id: String,
    order_id: Option<Uuid>,
    event_type: Option<String>,
    queue: String,
    class: String,
    action: String,
    reason: Option<String>,
    actor: String,
    at: Micros,
}

impl TryFrom<NoteRow> for DeadLetterNote {
    type Error = DeadLetterError;

    fn try_from(row: NoteRow) -> Result<Self, DeadLetterError> {
        let unknown = || Inconsistent::boxed("dead_letter_log", row.id, "unknown action");
        let action = LetterAction::from_word(&row.action);
        Ok(Self {
            action: action.ok_or_else(|| DeadLetterError(unknown()))?,
            message_id: row.message_id,
            order_id: row.order_id.map(OrderId),
            event_type: row.event_type,
            queue: row.queue,
            class: row.class,
            reason: row.reason,
            actor: row.actor,
            at: row.at.0,
        })
    }
}

#[derive(FromRow)]
struct DiscardedRow {
    message_id: String,
    order_id: Option<Uuid>,
    event_type: Option<String>,
}

impl From<DiscardedRow> for Discarded {
    fn from(row: DiscardedRow) -> Self {
        Self {
            message_id: row.message_id,
            order_id: row.order_id.map(OrderId),
            event_type: row.event_type,
        }
    }
}

#[async_trait]
impl DeadLetterLog for SqliteBus {
    async fn note(&self, notes: &[DeadLetterNote]) -> Result<(), DeadLetterError> {
        self.note_all(notes).await.map_err(failed)
    }

    async fn notes_of(&self, message_id: &str) -> Result<Vec<DeadLetterNote>, DeadLetterError> {
        let rows = sqlx::query_as::<_, NoteRow>(NOTES).bind(message_id.to_owned());
        let rows = rows.fetch_all(self.0.read()).await.map_err(failed)?;
        rows.into_iter().map(DeadLetterNote::try_from).collect()
    }

    async fn discarded(
        &self,
        orders: &[OrderId],
        message_ids: &[String],
    ) -> Result<Vec<Discarded>, DeadLetterError> {
        let orders = orders.iter().map(|id| (Some(id.0), None));
        let ids = message_ids.iter().map(|id| (None, Some(id.clone())));
        let mut all = HashSet::new();
        for (order, id) in orders.chain(ids) {
            let rows = sqlx::query_as::<_, DiscardedRow>(DISCARDED).bind(order);
            let rows = rows.bind(id).fetch_all(self.0.read()).await;
            all.extend(rows.map_err(failed)?.into_iter().map(Discarded::from));
        }
        Ok(all.into_iter().collect())
    }
}
