//! Lists of orders: by pages that are counted, and from a place on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use core_kernel::{OrderId, Page, PageRequest, Slice, UserScope};
use core_orders::{
    OrderFilter, OrderPosition, OrderSort, OrderStatus, OrderSummary, SortField, SortValue,
    StoreError,
};
use jiff_sqlx::ToSqlx;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::PgOrderStore;
use super::row::{Whole, summary};
use super::totals::Settled;
use crate::error::order_error;

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

/// Which statement is meant, beside what is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    one: bool,
    status: Option<OrderStatus>,
    column: &'static str,
    descending: bool,
    part: Part,
}

impl Kind {
    fn new(filter: OrderFilter, sort: OrderSort, part: Part) -> Self {
        Self {
            one: matches!(filter.scope, UserScope::One(_)),
            status: filter.status,
            column: match sort.by {
                SortField::CreatedAt => "created_at",
                SortField::UpdatedAt => "updated_at",
                SortField::TotalAmount => "total_amount",
                SortField::Status => "status",
            },
            descending: sort.descending,
            part,
        }
    }
}

/// The part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// A page, many orders into the list or not.
    Page { deep: bool, count: Count },
    /// What comes after a place.
    After,
}

/// The texts of statements, once assembled: there are some hundreds that can be, and few that are.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<HashMap<Kind, Arc<str>>>);

impl Texts {
    fn of(&self, kind: Kind) -> AssertSqlSafe<Arc<str>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = known.entry(kind).or_insert_with(|| kind.sql().into());
        AssertSqlSafe(text.clone())
    }
}

/// How the total comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Count {
    /// By counting.
    All,
    /// The same, telling how much of it will not change.
    Settled,
    /// From what has not changed (`$4`) since some time (`$5`).
    Rest,
}

impl Kind {
    fn sql(self) -> String {
        let pieces = Pieces::new(self);
        match self.part {
            Part::Page { deep, count } => pieces.page(deep, count),
            Part::After => pieces.after(),
        }
    }
}

impl Pieces {
    fn new(kind: Kind) -> Self {
        let column = kind.column;
        let (direction, beyond) = match kind.descending {
            true => ("DESC", "<"),
            false => ("ASC", ">"),
        };
        let user = match kind.one {
            true => "user_id = $1",
            false => "$1::uuid IS NULL",
        };
        // The state stands in the text, so that each has a plan of its own: one that is as good for
        // the few pending orders as for the many delivered ones.
        let filter = match kind.status {
            Some(status) => format!("{user} AND status = '{status}'"),
            None => user.to_owned(),
        };
        // Compared as a row, value and id are one range of an index that begins with the value. In
        // a list of one state that is sorted by state, only the ids tell places apart.
        let (order, beyond) = match (column, kind.status) {
            ("status", Some(_)) => (
                format!("id {direction}"),
                format!("$3 = status AND id {beyond} $4"),
            ),
            _ => (
                format!("{column} {direction}, id {direction}"),
                format!("({column}, id) {beyond} ($3, $4)"),
            ),
        };
        Self {
            filter,
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
            // There are few since a minute ago. Between two times that the planner does not see it expects
            // few, whatever the list, so the plan is made once and reads them from an index.
            Count::Rest => format!(
                "SELECT $4 + count(*) AS total, NULL::bigint AS settled, NULL::timestamptz AS before
                 FROM orders WHERE {filter} AND created_at >= (SELECT $5::timestamptz)
                                        AND created_at <= (SELECT 'infinity'::timestamptz)"
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
    PgOrderStore {
        pool,
        totals,
        texts,
        ..
    }: &PgOrderStore,
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
    let deep = page.offset() >= DEEP;
    let kind = Kind::new(filter, sort, Part::Page { deep, count });
    let query = sqlx::query(texts.of(kind))
        .bind(whose)
        .bind(i64::from(page.limit))
        .bind(i64::try_from(page.offset()).unwrap_or(i64::MAX));
    let query = match known {
        Some(Settled { count, before }) => query.bind(count).bind(before),
        None => query,
    };
    let rows = query.fetch_all(pool).await.map_err(order_error)?;
    let first = rows.first().map(Whole::from_row).transpose();
    let Some(whole) = first.map_err(order_error)? else {
        return Ok(Page {
            items: Vec::new(),
            total: 0,
        });
    };
    if let Some(settled) = whole.settled {
        totals.keep(whose, settled);
    }
    let lines = rows.iter().filter(|_| whole.has_line);
    let items = lines.map(|row| summary(row, Whole::COLUMNS));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        total: whole.total,
    })
}

pub(super) async fn after(
    PgOrderStore { pool, texts, .. }: &PgOrderStore,
    filter: OrderFilter,
    position: OrderPosition,
    limit: u32,
) -> Result<Slice<OrderSummary>, StoreError> {
    let OrderPosition { value, id, .. } = position;
    let OrderId(id) = id;
    let kind = Kind::new(filter, position.sort(), Part::After);
    let query = sqlx::query(texts.of(kind))
        .bind(user(filter))
        .bind(i64::from(limit) + 1);
    let query = match value {
        SortValue::CreatedAt(at) | SortValue::UpdatedAt(at) => query.bind(at.to_sqlx()),
        SortValue::TotalAmount(amount) => query.bind(amount.as_decimal()),
        SortValue::Status(status) => query.bind(status.as_str()),
    };
    let rows = query.bind(id).fetch_all(pool).await.map_err(order_error)?;
    let items = rows.iter().map(|row| summary(row, 0));
    Ok(Slice::of(items.collect::<Result<_, _>>()?, limit))
}
