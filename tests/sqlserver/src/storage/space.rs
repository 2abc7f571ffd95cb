//! Which pages of a database file are free.

use std::collections::BTreeSet;

use super::catalogue::Extent;

/// The free pages below `end`; everything from `end` on was never used.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    free: BTreeSet<u32>,
    end: u32,
}

impl Space {
    /// All pages but these are free.
    pub(crate) fn around(used: &BTreeSet<u32>) -> Space {
        let end = used.last().map_or(0, |last| last + 1);
        Space {
            free: (0..end).filter(|id| !used.contains(id)).collect(),
            end,
        }
    }
    /// One page.
    pub(crate) fn page(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| self.grow(1))
    }
    /// Pages in a row.
    pub(crate) fn run(&mut self, count: u32) -> Extent {
        let mut run = Extent { first: 0, count: 0 };
        for id in &self.free {
            run = if run.first + run.count == *id {
                Extent {
                    count: run.count + 1,
                    ..run
                }
            } else {
                Extent { first: *id, count: 1 }
            };
            if run.count == count {
                break;
            }
        }
        if run.count < count {
            return Extent {
                first: self.grow(count),
                count,
            };
        }
        for id in run.pages() {
            self.free.remove(&id);
        }
        run
    }
    /// Gives pages back.
    pub(crate) fn release(&mut self, pages: impl IntoIterator<Item = u32>) {
        self.free.extend(pages);
    }
    /// One beyond the highest page ever used.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    fn grow(&mut self, count: u32) -> u32 {
        let first = self.end;
        self.end += count;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_from_the_middle_or_the_end() {
        let mut space = Space::around(&BTreeSet::from([0, 1, 4, 8]));
        assert_eq!(space.run(3), Extent { first: 5, count: 3 });
        assert_eq!(space.run(3), Extent { first: 9, count: 3 });
        assert_eq!((space.page(), space.page(), space.page()), (2, 3, 12));
        space.release([5, 6]);
        assert_eq!(space.run(2), Extent { first: 5, count: 2 });
        assert_eq!(space.end(), 13);
    }
}
