//! Pages of long lists.

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The page, from 1.
    pub page: u32,
    /// How many items a page has, 1 to 100.
    pub limit: u32,
}

impl PageRequest {
    /// Items a page when nothing is said (PRD §4.2).
    pub const DEFAULT_LIMIT: u32 = 20;
    /// Items a page at most (PRD §4.2).
    pub const MAX_LIMIT: u32 = 100;

    /// How many items come before the page.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.page.saturating_sub(1)) * u64::from(self.limit)
    }

    /// How many pages `total` items fill; none for no items.
    #[must_use]
    pub fn pages(self, total: u64) -> u64 {
        total.div_ceil(u64::from(self.limit))
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            page: 1,
            limit: Self::DEFAULT_LIMIT,
        }
    }
}

/// One page of a list and the length of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page, in order.
    pub items: Vec<T>,
    /// How many items all pages have together.
    pub total: u64,
}

/// Some items of a list from a place on, and whether there are more. It costs the same anywhere in
/// the list, since nothing is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Whether others follow.
    pub more: bool,
}

impl<T> Slice<T> {
    /// The slice that a store makes of one item more than was asked for, if there was one.
    #[must_use]
    pub fn of(mut items: Vec<T>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

impl<T> Page<T> {
    /// Whether others follow on later pages.
    #[must_use]
    pub fn has_more(&self, asked: PageRequest) -> bool {
        asked.offset().saturating_add(self.items.len() as u64) < self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_has_more_if_one_item_more_was_found() {
        for (found, items, more) in [(0, 0, false), (2, 2, false), (3, 2, true)] {
            let slice = Slice::of(vec![(); found], 2);
            assert_eq!((slice.items.len(), slice.more), (items, more), "{found}");
        }
    }

    #[test]
    fn a_page_has_more_unless_it_reaches_the_end() {
        let second = PageRequest { page: 2, limit: 2 };
        for (items, total, more) in [(2, 5, true), (2, 4, false), (1, 3, false), (0, 1, false)] {
            let page = Page {
                items: vec![(); items],
                total,
            };
            assert_eq!(page.has_more(second), more, "{items} of {total}");
        }
    }

    #[test]
    fn pages_are_counted_from_one_and_the_last_may_be_short() {
        let third = PageRequest { page: 3, limit: 20 };
        assert_eq!(third.offset(), 40);
        assert_eq!([0, 1, 20, 21].map(|total| third.pages(total)), [0, 1, 1, 2]);
    }
}
