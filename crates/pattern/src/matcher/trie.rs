//! The paths that any pattern uses, as a tree of keys that steers the scan.
//!
//! A path is its segments between dots, so a key that holds dots takes several steps at once.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::NONE;
use crate::Path;

/// Where the scan stands before any key.
pub(super) const ROOT: u32 = 0;

/// The used paths, each with its slot: a number from 0 in the order of first use.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The keys longer than an edge can hold.
    text: Vec<u8>,
    /// The lengths of keys that lead to inner nodes, per node, each length once.
    inner: Vec<u32>,
    /// By slot.
    paths: Vec<Path>,
}

#[derive(Debug)]
struct Node {
    /// A bit for each length of key that leads on; the last bit stands for 63 and more.
    lengths: u64,
    /// A bit for each first byte of keys that lead on, by its lowest six bits; the empty key counts as zero.
    firsts: u64,
    /// The hash table of edges starts here in `edges` and has `mask + 1` places.
    first: u32,
    mask: u32,
    /// What is collected here, or `NONE`.
    slot: u32,
    /// This node's part of `inner`.
    inner: (u32, u32),
}

/// One key that leads on. Head, tail and length tell keys of up to 16 bytes apart; longer ones are compared in `text`.
#[derive(Debug, Clone, Copy)]
struct Edge {
    head: u64,
    tail: u64,
    length: u32,
    start: u32,
    /// `NONE` in a free place of the hash table.
    child: u32,
}

impl Trie {
    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.paths.len()
    }

    /// The used paths, by slot.
    pub(super) fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The slot of a node, or `NONE`.
    #[inline]
    pub(super) fn slot(&self, node: u32) -> u32 {
        self.nodes[node as usize].slot
    }

    /// Whether longer paths lead through the node.
    #[inline]
    pub(super) fn has_children(&self, node: u32) -> bool {
        self.nodes[node as usize].lengths != 0
    }

    /// Where `key` leads from `node`, or `NONE`.
    #[expect(
        clippy::inline_always,
        reason = "a step of the scan's loop; called, it costs a tenth of the scan"
    )]
    #[inline(always)]
    pub(super) fn step(&self, node: u32, key: &[u8]) -> u32 {
        let here = &self.nodes[node as usize];
        if here.lengths >> key.len().min(63) & here.firsts >> first(key) & 1 != 0 {
            let child = self.follow(here, key);
            if child != NONE {
                return child;
            }
        }
        let inner = &self.inner[here.inner.0 as usize..here.inner.1 as usize];
        if inner
            .iter()
            .any(|&length| key.get(length as usize) == Some(&b'.'))
        {
            self.step_over_dots(node, key)
        } else {
            NONE
        }
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        let paths: usize = self
            .paths
            .iter()
            .map(|path| size_of::<Path>() + path.as_str().len())
            .sum();
        size_of_val(&*self.nodes)
            + size_of_val(&*self.edges)
            + self.text.len()
            + size_of_val(&*self.inner)
            + paths
    }

    /// Several segments in one key, or only one with a dot at a place where another ends. A segment holds no dot, so at each node at most one way leads on.
    fn step_over_dots(&self, mut node: u32, mut key: &[u8]) -> u32 {
        loop {
            let here = &self.nodes[node as usize];
            let lengths = &self.inner[here.inner.0 as usize..here.inner.1 as usize];
            let next = lengths
                .iter()
                .map(|&length| length as usize)
                .find_map(|length| {
                    let child = if key.get(length) == Some(&b'.') {
                        self.follow(here, &key[..length])
                    } else {
                        NONE
                    };
                    (child != NONE).then_some((child, length))
                });
            let Some((child, length)) = next else {
                return self.follow(here, key);
            };
            (node, key) = (child, &key[length + 1..]);
        }
    }

    #[expect(clippy::inline_always, reason = "as `step`")]
    #[inline(always)]
    fn follow(&self, here: &Node, key: &[u8]) -> u32 {
        if here.lengths == 0 {
            return NONE;
        }
        let (head, tail) = ends(key);
        let length = key.len();
        let table = &self.edges[here.first as usize..][..=here.mask as usize];
        let mut at = place(head, tail, length);
        loop {
            let edge = &table[(at & here.mask) as usize];
            if edge.head == head
                && edge.tail == tail
                && edge.length as usize == length
                && edge.child != NONE
            {
                if length <= 16 || &self.text[edge.start as usize..][..length] == key {
                    return edge.child;
                }
            } else if edge.child == NONE {
                return NONE;
            }
            at += 1;
        }
    }
}

/// Collects paths.
#[derive(Debug)]
pub(super) struct TrieBuilder {
    slots: HashMap<Path, u32, FixedState>,
    /// The children of each node, in the order they came.
    children: Vec<Vec<(Box<str>, u32)>>,
    by_segment: HashMap<(u32, Box<str>), u32, FixedState>,
    slot_of_node: Vec<u32>,
    bytes: usize,
}

impl TrieBuilder {
    /// No path yet.
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::default(),
            children: vec![Vec::new()],
            by_segment: HashMap::default(),
            slot_of_node: vec![NONE],
            bytes: 0,
        }
    }

    /// The slot of a path.
    pub(super) fn slot(&mut self, path: &Path) -> u32 {
        if let Some(&slot) = self.slots.get(path) {
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("the budget holds far fewer paths");
        self.slots.insert(path.clone(), slot);
        self.bytes += 2 * path.as_str().len() + 64;
        let node = path
            .segments()
            .fold(ROOT, |node, segment| self.child(node, segment));
        self.slot_of_node[node as usize] = slot;
        slot
    }

    /// About how many bytes the paths take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn child(&mut self, node: u32, segment: &str) -> u32 {
        let next = u32::try_from(self.children.len()).expect("the budget holds far fewer keys");
        let child = *self
            .by_segment
            .entry((node, segment.into()))
            .or_insert(next);
        if child == next {
            self.children[node as usize].push((segment.into(), child));
            self.children.push(Vec::new());
            self.slot_of_node.push(NONE);
            self.bytes += 2 * segment.len() + 192;
        }
        child
    }

    /// The finished tree.
    pub(super) fn finish(self) -> Trie {
        let mut paths: Vec<(Path, u32)> = self.slots.into_iter().collect();
        paths.sort_unstable_by_key(|&(_, slot)| slot);
        let paths = paths.into_iter().map(|(path, _)| path).collect();
        let mut trie = Trie {
            nodes: Vec::new(),
            edges: Vec::new(),
            text: Vec::new(),
            inner: Vec::new(),
            paths,
        };
        for (children, &slot) in self.children.iter().zip(&self.slot_of_node) {
            let places = (2 * children.len()).next_power_of_two();
            let table = trie.edges.len();
            trie.edges.resize(
                table + places,
                Edge {
                    head: 0,
                    tail: 0,
                    length: 0,
                    start: 0,
                    child: NONE,
                },
            );
            let mut inner: Vec<u32> = Vec::new();
            let (mut lengths, mut firsts) = (0, 0);
            for (key, child) in children {
                lengths |= 1 << key.len().min(63);
                firsts |= 1 << first(key.as_bytes());
                if !self.children[*child as usize].is_empty() {
                    inner.push(length(key.len()));
                }
                let (head, tail) = ends(key.as_bytes());
                let mut at = place(head, tail, key.len()) as usize & (places - 1);
                while trie.edges[table + at].child != NONE {
                    at = (at + 1) & (places - 1);
                }
                let start = length(trie.text.len());
                trie.text.extend_from_slice(key.as_bytes());
                trie.edges[table + at] = Edge {
                    head,
                    tail,
                    length: length(key.len()),
                    start,
                    child: *child,
                };
            }
            inner.sort_unstable();
            inner.dedup();
            let inner_start = length(trie.inner.len());
            trie.inner.append(&mut inner);
            trie.nodes.push(Node {
                lengths,
                firsts,
                first: length(table),
                mask: length(places - 1),
                slot,
                inner: (inner_start, length(trie.inner.len())),
            });
        }
        trie
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("the budget keeps the tree of paths small")
}

#[inline]
fn first(key: &[u8]) -> u32 {
    key.first().map_or(0, |&byte| u32::from(byte) & 63)
}

/// The first and the last up to eight bytes; together with the length they are the whole of a key of up to 16.
#[inline]
fn ends(key: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
    } else if let (Some(head), Some(tail)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (
            u64::from(u32::from_le_bytes(*head)),
            u64::from(u32::from_le_bytes(*tail)),
        )
    } else if let [first, .., last] = key {
        (
            u64::from(*first) | u64::from(key[key.len() / 2]) << 8,
            u64::from(*last),
        )
    } else {
        (key.first().copied().map_or(0, u64::from), 0)
    }
}

#[inline]
fn place(head: u64, tail: u64, length: usize) -> u32 {
    ((head ^ tail.rotate_left(29) ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(paths: &[&str]) -> Trie {
        let mut builder = TrieBuilder::new();
        for path in paths {
            builder.slot(&Path::from_keys([path]));
        }
        builder.finish()
    }

    fn slot(trie: &Trie, keys: &[&str]) -> u32 {
        let mut node = ROOT;
        for key in keys {
            node = trie.step(node, key.as_bytes());
            if node == NONE {
                return NONE;
            }
        }
        trie.slot(node)
    }

    #[test]
    fn dots_inside_a_key_are_steps() {
        let trie = trie(&[
            "a.b.c",
            "a",
            "x..y",
            "",
            "long-key-with-more-than-sixteen-bytes.z",
        ]);
        assert_eq!(slot(&trie, &["a", "b", "c"]), 0);
        assert_eq!(slot(&trie, &["a.b", "c"]), 0);
        assert_eq!(slot(&trie, &["a", "b.c"]), 0);
        assert_eq!(slot(&trie, &["a.b.c"]), 0);
        assert_eq!(slot(&trie, &["a"]), 1);
        assert_eq!(slot(&trie, &["a", "b"]), NONE);
        assert_eq!(slot(&trie, &["x", "", "y"]), 2);
        assert_eq!(slot(&trie, &["x.", "y"]), 2);
        assert_eq!(slot(&trie, &["x..y"]), 2);
        assert_eq!(slot(&trie, &["x.y"]), NONE);
        assert_eq!(slot(&trie, &[""]), 3);
        assert_eq!(slot(&trie, &["long-key-with-more-than-sixteen-bytes.z"]), 4);
        assert_eq!(
            slot(&trie, &["long-key-with-MORE-than-sixteen-bytes.z"]),
            NONE
        );
    }

    #[test]
    fn many_keys_of_one_object_are_told_apart() {
        let keys: Vec<String> = (0..1000).map(|i| format!("k{i}")).collect();
        let trie = trie(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(slot(&trie, &[key]) as usize, i);
        }
        assert_eq!(slot(&trie, &["k1000"]), NONE);
    }
}
