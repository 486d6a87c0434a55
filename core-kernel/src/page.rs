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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_from_one_and_the_last_may_be_short() {
        let third = PageRequest { page: 3, limit: 20 };
        assert_eq!(third.offset(), 40);
        assert_eq!([0, 1, 20, 21].map(|total| third.pages(total)), [0, 1, 1, 2]);
    }
}
