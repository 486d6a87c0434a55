//! Lists of notifications: by pages that are counted, and from a place on.
//!
//! A statement has only the conditions that its filter has: one with parts that let everything pass
//! would be planned once for all filters, and then by no index that fits.

use core_kernel::{Page, PageRequest, Slice, UserScope};
use core_notify::{Channel, NotificationFilter, NotificationPosition, Status, StoreError, Summary};
use jiff_sqlx::ToSqlx;
use sqlx::{Postgres, QueryBuilder};

use super::row::{ListRow, SummaryRow};
use crate::error::notify_error;
use crate::warm::WarmPool;

const COLUMNS: &str = "
    id, user_id, order_id, channel, type, recipient, subject, status, sent_at, created_at";

const NEWEST_FIRST: &str = " ORDER BY created_at DESC, id DESC LIMIT ";

fn push_filter(sql: &mut QueryBuilder<Postgres>, filter: &NotificationFilter) {
    sql.push(" FROM notifications WHERE true");
    if let UserScope::One(user) = filter.scope {
        sql.push(" AND user_id = ").push_bind(user.0);
    }
    if let Some(channel) = filter.channel {
        sql.push(" AND channel = ")
            .push_bind(Channel::as_str(channel));
    }
    if let Some(order) = filter.order_id {
        sql.push(" AND order_id = ").push_bind(order.0);
    }
    if let Some(type_key) = &filter.type_key {
        sql.push(" AND type = ").push_bind(type_key.clone());
    }
    if let Some(status) = filter.status {
        sql.push(" AND status = ").push_bind(Status::as_str(status));
    }
}

/// One page and the total in one round trip; the total comes even when the page is empty.
pub(super) async fn page(
    pool: &WarmPool,
    filter: &NotificationFilter,
    page: PageRequest,
) -> Result<Page<Summary>, StoreError> {
    let mut sql = QueryBuilder::new("SELECT counted.total, page.* FROM (SELECT count(*) AS total");
    push_filter(&mut sql, filter);
    sql.push(") AS counted LEFT JOIN LATERAL (SELECT")
        .push(COLUMNS);
    push_filter(&mut sql, filter);
    sql.push(NEWEST_FIRST)
        .push_bind(i64::from(page.limit))
        .push(" OFFSET ")
        .push_bind(i64::try_from(page.offset()).unwrap_or(i64::MAX))
        .push(") AS page ON true ORDER BY page.created_at DESC, page.id DESC");
    let rows: Vec<ListRow> = sql
        .build_query_as()
        .fetch_all(pool)
        .await
        .map_err(notify_error)?;
    let total = rows.first().map_or(0, |row| row.total.unsigned_abs());
    let items = rows
        .into_iter()
        .filter_map(|row| row.summary().transpose())
        .collect::<Result<_, _>>()?;
    Ok(Page { items, total })
}

pub(super) async fn after(
    pool: &WarmPool,
    filter: &NotificationFilter,
    position: NotificationPosition,
    limit: u32,
) -> Result<Slice<Summary>, StoreError> {
    let mut sql = QueryBuilder::new("SELECT");
    sql.push(COLUMNS);
    push_filter(&mut sql, filter);
    sql.push(" AND (created_at, id) < (")
        .push_bind(position.created_at.to_sqlx())
        .push(", ")
        .push_bind(position.id.0)
        .push(")")
        .push(NEWEST_FIRST)
        .push_bind(i64::from(limit) + 1);
    let rows: Vec<SummaryRow> = sql
        .build_query_as()
        .fetch_all(pool)
        .await
        .map_err(notify_error)?;
    let items = rows.into_iter().map(Summary::try_from);
    Ok(Slice::of(items.collect::<Result<_, _>>()?, limit))
}
