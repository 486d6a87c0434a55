//! `GET /orders`: what is asked for, and the answer.

use core_kernel::{Caller, Faults, OrderId};
use core_orders::{
    OrderFilter, OrderPosition, OrderSort, OrderStatus, OrderSummary, Orders, SortField, SortValue,
};
use jiff::Timestamp;
use serde::Serialize;

use super::dto::{List, Pagination};
use super::scope;
use crate::cursor;
use crate::error::ApiError;
use crate::query::{Part, Query, one_of, scope_word};

/// A part of a list of orders.
pub(super) struct Asked {
    filter: OrderFilter,
    sort: OrderSort,
    part: Part,
}

impl Asked {
    /// Reads the query.
    ///
    /// # Errors
    /// 403 for another's orders, 400 with all other faults.
    pub(super) fn read(caller: &Caller, query: &Query) -> Result<Self, ApiError> {
        let mut faults = Faults::new();
        let scope = scope(caller, query, &mut faults)?;
        let filter = OrderFilter {
            scope,
            status: query.optional(&mut faults, "status", |word| {
                word.parse()
                    .map_err(|_| one_of(&OrderStatus::ALL.map(OrderStatus::as_str)))
            }),
        };
        let sort = sort(query, &mut faults);
        let part = query.part(&mut faults);
        match faults.is_empty() {
            true => Ok(Self { filter, sort, part }),
            false => Err(ApiError::validation(faults)),
        }
    }

    /// The page, or what comes after the cursor.
    ///
    /// # Errors
    /// 400 for a cursor that is none, or another list's; the store's.
    pub(super) async fn answer(&self, orders: &Orders) -> Result<List, ApiError> {
        Ok(match &self.part {
            Part::Page(page) => {
                let found = orders.list(self.filter, self.sort, *page).await?;
                let next = self.next(&found.items, found.has_more(*page));
                let pagination = Pagination::new(*page, found.total).then(next);
                List::new(&found.items, pagination)
            }
            Part::After { cursor, limit } => {
                let after = self.position(cursor)?;
                let found = orders.list_after(self.filter, after, *limit).await?;
                let next = self.next(&found.items, found.more);
                let pagination = Pagination::uncounted(*limit).then(next);
                List::new(&found.items, pagination)
            }
        })
    }

    /// What a cursor says of its list.
    fn list(&self) -> impl Serialize {
        (
            "orders",
            field(self.sort.by),
            self.sort.descending,
            scope_word(self.filter.scope),
            self.filter.status.map(OrderStatus::as_str),
        )
    }

    /// The cursor of the last of these, unless it is the last of all.
    fn next(&self, items: &[OrderSummary], more: bool) -> Option<String> {
        let last = items.last().filter(|_| more)?;
        let value = match self.sort.position_of(last).value {
            SortValue::CreatedAt(at) | SortValue::UpdatedAt(at) => at.as_microsecond().to_string(),
            SortValue::TotalAmount(amount) => amount.to_string(),
            SortValue::Status(status) => status.as_str().to_owned(),
        };
        Some(cursor::write(&self.list(), last.id.0, &value))
    }

    fn position(&self, cursor: &str) -> Result<OrderPosition, ApiError> {
        let time = |value: &str| Timestamp::from_microsecond(value.parse().ok()?).ok();
        let parse = |value: &str| match self.sort.by {
            SortField::CreatedAt => time(value).map(SortValue::CreatedAt),
            SortField::UpdatedAt => time(value).map(SortValue::UpdatedAt),
            SortField::TotalAmount => value.parse().ok().map(SortValue::TotalAmount),
            SortField::Status => value.parse().ok().map(SortValue::Status),
        };
        let (id, value) =
            cursor::read(&self.list(), cursor, parse).map_err(ApiError::bad_cursor)?;
        Ok(OrderPosition {
            value,
            id: OrderId(id),
            descending: self.sort.descending,
        })
    }
}

/// What lists can be sorted by.
pub(super) const FIELDS: [SortField; 4] = [
    SortField::CreatedAt,
    SortField::UpdatedAt,
    SortField::TotalAmount,
    SortField::Status,
];

/// The ways that a list can be sorted.
pub(super) const DIRECTIONS: [&str; 2] = ["asc", "desc"];

/// The word for it in queries.
pub(super) fn field(by: SortField) -> &'static str {
    match by {
        SortField::CreatedAt => "created_at",
        SortField::UpdatedAt => "updated_at",
        SortField::TotalAmount => "total_amount",
        SortField::Status => "status",
    }
}

fn sort(query: &Query, faults: &mut Faults) -> OrderSort {
    let default = OrderSort::default();
    let by = query.optional(faults, "sort_by", |word| {
        let found = FIELDS.into_iter().find(|by| field(*by) == word);
        found.ok_or_else(|| one_of(&FIELDS.map(field)))
    });
    let descending = query.optional(faults, "sort_dir", |word| match word {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(one_of(&DIRECTIONS)),
    });
    OrderSort {
        by: by.unwrap_or(default.by),
        descending: descending.unwrap_or(default.descending),
    }
}
