//! One event against all rules, once it has been scanned.

use std::ops::ControlFlow;

use super::Matcher;
use super::index;
use super::membership;
use super::observed::Observed;
use super::predicates::{Predicate, Seen};
use super::program::Ops;

/// Storage that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Room {
    index: index::Room,
    membership: membership::Room,
    /// Per list, and per rule that is filed more than once, the event that tried it last.
    lists: Vec<u64>,
    shared: Vec<u64>,
    event: u64,
}

/// Appends the rules that match, in no order; only the first one found where `one` is set.
pub(super) fn search(
    matcher: &Matcher,
    event: &[u8],
    observed: &Observed,
    room: &mut Room,
    one: bool,
    out: &mut Vec<u32>,
) {
    room.event += 1;
    let Room {
        index,
        membership,
        lists,
        shared,
        event: number,
    } = room;
    grow(lists, matcher.lists);
    grow(shared, matcher.shared);
    let seen = Seen { event, observed };
    let mut lists = Lists {
        matcher,
        seen,
        membership,
        tried: lists,
        tried_shared: shared,
        number: *number,
        one,
        out,
    };
    // Whether it was cut short is the caller's to see in what was found.
    let _ = lists.all(index);
}

struct Lists<'a> {
    matcher: &'a Matcher,
    seen: Seen<'a>,
    membership: &'a mut membership::Room,
    tried: &'a mut [u64],
    tried_shared: &'a mut [u64],
    number: u64,
    one: bool,
    out: &'a mut Vec<u32>,
}

impl Lists<'_> {
    fn all(&mut self, room: &mut index::Room) -> ControlFlow<()> {
        let (matcher, seen) = (self.matcher, self.seen);
        for (number, value) in seen.observed.values().iter().enumerate() {
            let (first, only) = seen.observed.first_and_only(number);
            let index = &matcher.indexes[value.slot as usize];
            if !first && index.asks_presence_only() {
                continue;
            }
            index.visit(value, first, seen, &matcher.predicates, room, &mut |id| {
                self.list(id, !only)
            })?;
        }
        for &id in &matcher.absent {
            // Inside an array element there may be none although there is one elsewhere.
            if seen.observed.any_chained()
                || seen.observed.is_missing(matcher.predicates.get(id).slot)
            {
                self.list(id, false)?;
            }
        }
        matcher
            .always
            .map_or(ControlFlow::Continue(()), |id| self.list(id, false))
    }

    /// Tries the rules filed under a predicate; `again` says whether they may have been tried before.
    fn list(&mut self, predicate: u32, again: bool) -> ControlFlow<()> {
        let matcher = self.matcher;
        let &Predicate { list, class, .. } = matcher.predicates.get(predicate);
        if list == super::NONE {
            return ControlFlow::Continue(());
        }
        let code = &matcher.code[list as usize..];
        let &[number, count, ..] = code else {
            return ControlFlow::Continue(());
        };
        let again = again || class.is_announced();
        if again && std::mem::replace(&mut self.tried[number as usize], self.number) == self.number
        {
            return ControlFlow::Continue(());
        }
        let mut code = &code[2..];
        for _ in 0..count {
            let (head, rest) = (code[0], &code[1..]);
            let (entry, rest) = rest.split_at((head >> 1) as usize);
            code = rest;
            if head & 1 == 0 {
                self.rule(entry)?;
            } else {
                let &[shared, head, ref words @ ..] = &matcher.code[entry[0] as usize..] else {
                    continue;
                };
                if std::mem::replace(&mut self.tried_shared[shared as usize], self.number)
                    != self.number
                {
                    self.rule(&words[..(head >> 1) as usize])?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn rule(&mut self, entry: &[u32]) -> ControlFlow<()> {
        let &[rule, implied, ref words @ ..] = entry else {
            return ControlFlow::Continue(());
        };
        let predicates = &self.matcher.predicates;
        let holds = if self.seen.observed.any_chained()
            && membership::is_concerned(Ops(words), self.seen)
        {
            membership::hold(predicates, Ops(words), self.seen, self.membership)
        } else {
            predicates.hold(Ops(&words[implied as usize..]), self.seen)
        };
        if holds {
            self.out.push(rule);
            if self.one {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

fn grow(stamps: &mut Vec<u64>, count: u32) {
    if stamps.len() < count as usize {
        stamps.resize(count as usize, 0);
    }
}
