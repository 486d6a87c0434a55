//! Lists of orders: by pages that are counted, and from a place on.

use core_kernel::{OrderId, Page, PageRequest, Slice, UserScope};
use core_orders::{
    OrderFilter, OrderPosition, OrderSort, OrderSummary, SortField, SortValue, StoreError,
};
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::PgOrderStore;
use super::row::{ListRow, SummaryRow};
use super::totals::Settled;
use crate::error::order_error;
use crate::warm::WarmPool;

/// An offset from which on reading every order on the way costs more than finding those of the page.
const DEEP: u64 = 200;

/// The pieces that the statements below are assembled from. They are constants, and words of ours;
/// what clients say is bound.
struct Pieces {
    filter: String,
    order: String,
    /// What comes after a place, which is bound as `$3` (value) and `$4` (id).
    beyond: String,
}

/// How the total comes about.
#[derive(Clone, Copy)]
enum Count {
    /// By counting.
    All,
    /// The same, telling how much of it will not change.
    Settled,
    /// From what has not changed (`$4`) since some time (`$5`).
    Rest,
}

impl Pieces {
    fn new(filter: OrderFilter, sort: OrderSort) -> Self {
        let (direction, beyond) = match sort.descending {
            true => ("DESC", "<"),
            false => ("ASC", ">"),
        };
        let (column, value) = match sort.by {
            SortField::CreatedAt => ("created_at", "$3"),
            SortField::UpdatedAt => ("updated_at", "$3"),
            SortField::TotalAmount => ("total_amount", "$3"),
            SortField::Status => ("status", "$3"),
        };
        let user = match filter.scope {
            UserScope::One(_) => "user_id = $1",
            UserScope::All => "$1::uuid IS NULL",
        };
        // The state stands in the text, so that each has a plan of its own: one that is as good for
        // the few pending orders as for the many delivered ones.
        let filter_sql = match filter.status {
            Some(status) => format!("{user} AND status = '{status}'"),
            None => user.to_owned(),
        };
        // Compared as a row, value and id are one range of an index that begins with the value. In
        // a list of one state that is sorted by state, only the ids tell places apart.
        let (order, beyond) = match (sort.by, filter.status) {
            (SortField::Status, Some(_)) => (
                format!("id {direction}"),
                format!("{value} = status AND id {beyond} $4"),
            ),
            _ => (
                format!("{column} {direction}, id {direction}"),
                format!("({column}, id) {beyond} ({value}, $4)"),
            ),
        };
        Self {
            filter: filter_sql,
            order,
            beyond,
        }
    }

    fn counted(&self, count: Count) -> String {
        let filter = &self.filter;
        match count {
            Count::All => format!(
                "SELECT count(*) AS total, NULL::bigint AS settled, NULL::timestamptz AS before
                 FROM orders WHERE {filter}"
            ),
            Count::Settled => format!(
                "SELECT count(*) AS total,
                        count(*) FILTER (WHERE created_at < now() - interval '1 minute') AS settled,
                        now() - interval '1 minute' AS before
                 FROM orders WHERE {filter}"
            ),
            Count::Rest => format!(
                "SELECT $4 + count(*) AS total, NULL::bigint AS settled, NULL::timestamptz AS before
                 FROM orders WHERE {filter} AND created_at >= $5"
            ),
        }
    }

    /// One page and the total in one round trip; the total comes even when the page is empty.
    fn page(&self, deep: bool, count: Count) -> String {
        let Self { filter, order, .. } = self;
        let counted = self.counted(count);
        const COLUMNS: &str = "id, status, total_amount, currency, created_at, updated_at";
        // Many orders that are passed over are passed over in the index alone.
        let page = match deep {
            true => format!(
                "SELECT {COLUMNS} FROM orders JOIN (
                     SELECT id AS place FROM orders WHERE {filter}
                     ORDER BY {order} LIMIT $2 OFFSET $3
                 ) AS places ON id = place"
            ),
            false => format!(
                "SELECT {COLUMNS} FROM orders WHERE {filter}
                 ORDER BY {order} LIMIT $2 OFFSET $3"
            ),
        };
        format!(
            "SELECT counted.total, counted.settled, counted.before, page.*
             FROM ({counted}) AS counted LEFT JOIN LATERAL ({page}) AS page ON true
             ORDER BY {order}"
        )
    }

    fn after(&self) -> String {
        let Self {
            filter,
            order,
            beyond,
        } = self;
        format!(
            "SELECT id, status, total_amount, currency, created_at, updated_at
             FROM orders WHERE {filter} AND {beyond}
             ORDER BY {order} LIMIT $2"
        )
    }
}

fn user(filter: OrderFilter) -> Option<Uuid> {
    match filter.scope {
        UserScope::One(id) => Some(id.0),
        UserScope::All => None,
    }
}

pub(super) async fn page(
    PgOrderStore { pool, totals }: &PgOrderStore,
    filter: OrderFilter,
    sort: OrderSort,
    page: PageRequest,
) -> Result<Page<OrderSummary>, StoreError> {
    let whose = user(filter);
    let known = totals.of(whose).filter(|_| filter.status.is_none());
    let count = match (filter.status, known) {
        // Orders come into a state and leave it at any time.
        (Some(_), _) => Count::All,
        (None, None) => Count::Settled,
        (None, Some(_)) => Count::Rest,
    };
    let sql = Pieces::new(filter, sort).page(page.offset() >= DEEP, count);
    let query = sqlx::query_as(AssertSqlSafe(sql))
        .bind(whose)
        .bind(i64::from(page.limit))
        .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX));
    let query = match known {
        Some(Settled { count, before }) => query.bind(count).bind(before),
        None => query,
    };
    let rows: Vec<ListRow> = query.fetch_all(pool).await.map_err(order_error)?;
    let first = rows.first();
    if let Some(settled) = first.and_then(|row| row.settled) {
        totals.keep(whose, settled);
    }
    let total = first.map_or(0, |row| row.total.unsigned_abs());
    let items = rows
        .into_iter()
        .filter_map(|row| row.summary().transpose())
        .collect::<Result<_, _>>()?;
    Ok(Page { items, total })
}

pub(super) async fn after(
    pool: &WarmPool,
    filter: OrderFilter,
    position: OrderPosition,
    limit: u32,
) -> Result<Slice<OrderSummary>, StoreError> {
    let OrderPosition { value, id, .. } = position;
    let OrderId(id) = id;
    let pieces = Pieces::new(filter, position.sort());
    let query = sqlx::query_as(AssertSqlSafe(pieces.after()))
        .bind(user(filter))
        .bind(i64::from(limit) + 1);
    let query = match value {
        SortValue::CreatedAt(at) | SortValue::UpdatedAt(at) => query.bind(at.to_sqlx()),
        SortValue::TotalAmount(amount) => query.bind(amount.as_decimal()),
        SortValue::Status(status) => query.bind(status.as_str()),
    };
    let rows: Vec<SummaryRow> = query.bind(id).fetch_all(pool).await.map_err(order_error)?;
    let items = rows.into_iter().map(OrderSummary::try_from);
    Ok(Slice::of(items.collect::<Result<_, _>>()?, limit))
}
