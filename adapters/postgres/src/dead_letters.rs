//! What was done with dead letters.

use async_trait::async_trait;
use core_kernel::{BoxError, OrderId};
use core_notify::{DeadLetterError, DeadLetterLog, DeadLetterNote, Discarded, LetterAction};
use jiff_sqlx::ToSqlx;
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::error::Inconsistent;
use crate::pool::within;

const NOTE: &str = "
    INSERT INTO dead_letter_log (message_id, queue, class, action, reason, actor, at, order_id,
                                 event_type)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                         $7::timestamptz[], $8::uuid[], $9::text[])";

const NOTES: &str = "
    SELECT id, message_id, order_id, event_type, queue, class, action, reason, actor, at
    FROM dead_letter_log WHERE message_id = $1 ORDER BY id";

const DISCARDED: &str = "
    SELECT DISTINCT message_id, order_id, event_type FROM dead_letter_log AS noted
    WHERE action = 'discard' AND (order_id = ANY($1) OR message_id = ANY($2))
      AND NOT EXISTS (SELECT FROM dead_letter_log AS later
                      WHERE later.message_id = noted.message_id AND later.id > noted.id
                        AND later.action <> 'discard')";

/// The notes of what was done with dead letters, in the table `dead_letter_log` of the notification
/// service's database.
#[derive(Clone, Debug)]
pub struct PgDeadLetterLog(PgPool);

impl PgDeadLetterLog {
    /// The log in this database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self(pool)
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
    at: jiff_sqlx::Timestamp,
}

impl TryFrom<NoteRow> for DeadLetterNote {
    type Error = DeadLetterError;

    fn try_from(row: NoteRow) -> Result<Self, DeadLetterError> {
        let unknown = || Inconsistent {
            table: "dead_letter_log",
            id: row.id.to_string(),
            what: "unknown action",
        };
        let action = LetterAction::from_word(&row.action);
        Ok(Self {
            action: action.ok_or_else(|| DeadLetterError(unknown().into()))?,
            message_id: row.message_id,
            order_id: row.order_id.map(OrderId),
            event_type: row.event_type,
            queue: row.queue,
            class: row.class,
            reason: row.reason,
            actor: row.actor,
            at: row.at.to_jiff(),
        })
    }
}

fn failed(error: sqlx::Error) -> DeadLetterError {
    DeadLetterError(BoxError::from(error))
}

#[async_trait]
impl DeadLetterLog for PgDeadLetterLog {
    async fn note(&self, notes: &[DeadLetterNote]) -> Result<(), DeadLetterError> {
        let texts =
            |of: fn(&DeadLetterNote) -> &str| -> Vec<&str> { notes.iter().map(of).collect() };
        let reasons: Vec<Option<&str>> = notes.iter().map(|note| note.reason.as_deref()).collect();
        let orders: Vec<Option<Uuid>> = notes.iter().map(|note| Some(note.order_id?.0)).collect();
        let types = notes.iter().map(|note| note.event_type.as_deref());
        let types: Vec<Option<&str>> = types.collect();
        let times: Vec<_> = notes.iter().map(|note| note.at.to_sqlx()).collect();
        let noted = sqlx::query(NOTE)
            .bind(texts(|note| &note.message_id))
            .bind(texts(|note| &note.queue))
            .bind(texts(|note| &note.class))
            .bind(texts(|note| note.action.as_str()))
            .bind(reasons)
            .bind(texts(|note| &note.actor))
            .bind(times)
            .bind(orders)
            .bind(types)
            .execute(&self.0);
        within(noted).await.map(drop).map_err(failed)
    }

    async fn notes_of(&self, message_id: &str) -> Result<Vec<DeadLetterNote>, DeadLetterError> {
        let rows = sqlx::query_as::<_, NoteRow>(NOTES).bind(message_id);
        let rows = within(rows.fetch_all(&self.0)).await.map_err(failed)?;
        rows.into_iter().map(DeadLetterNote::try_from).collect()
    }

    async fn discarded(
        &self,
        orders: &[OrderId],
        message_ids: &[String],
    ) -> Result<Vec<Discarded>, DeadLetterError> {
        let orders: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
        let rows = sqlx::query_as(DISCARDED).bind(&orders).bind(message_ids);
        let rows: Vec<(String, Option<Uuid>, Option<String>)> =
            within(rows.fetch_all(&self.0)).await.map_err(failed)?;
        let discarded = |(message_id, order, event_type): (_, Option<_>, _)| Discarded {
            message_id,
            order_id: order.map(OrderId),
            event_type,
        };
        Ok(rows.into_iter().map(discarded).collect())
    }
}
