//! The used paths as a trie of keys, which guides the scan.
//!
//! A path is a sequence of segments between dots, so a key that contains dots takes several steps.

// Example. The paths `level`, `content.eniId` and `content.result` give
//
//     ROOT ── "level"    slot 0
//      └───── "content" ── "eniId"    slot 1
//                └──────── "result"   slot 2
//
// and the event {"content.result": 1} reaches slot 2 by one key with two segments.
//
// An event has a few dozen keys, most of which no pattern uses, so the lookup that fails must be
// quick. Each node has a bit for each length and each first byte of its keys. Below `content`,
// "eniId" and "result" set the lengths 5 and 6 and the first bytes e and r; the keys "operation"
// and "requestId" of the event fail by their length, without a hash.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::NONE;
use crate::Path;

/// The node of the event itself.
pub(super) const ROOT: u32 = 0;

/// The used paths. Each has a slot: its number, from 0, in the order of first use.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The keys, for those that are longer than 16 bytes.
    text: Vec<u8>,
    /// By node, the distinct lengths of keys that lead to nodes with children.
    inner: Vec<u32>,
    /// By slot.
    paths: Vec<Path>,
}

#[derive(Debug)]
struct Node {
    /// A bit for each length of the node's keys; the last bit stands for 63 and more.
    lengths: u64,
    /// A bit for each first byte of the keys, by its lowest six bits; zero for the empty key.
    firsts: u64,
    /// Where the node's hash table of edges begins in `edges`; it has `mask + 1` places.
    first: u32,
    mask: u32,
    /// The slot of the path that ends here, or `NONE`.
    slot: u32,
    /// The node's part of `inner`.
    inner: (u32, u32),
}

/// A key and the node that it leads to. Head, tail and length identify keys of up to 16 bytes, so
/// that comparing them is three comparisons of words; longer keys are also compared in `text`.
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
    /// The number of slots.
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

    /// Whether there are longer paths through the node.
    #[inline]
    pub(super) fn has_children(&self, node: u32) -> bool {
        self.nodes[node as usize].lengths != 0
    }

    /// The node that `key` leads to from `node`, or `NONE`.
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
        // A dotted key has a dot right behind a segment that has children. Their lengths are few,
        // so this looks at a few bytes of the key and not at all of it.
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

    /// A key of several segments, or of one that has a dot by coincidence where another segment
    /// would end. Segments contain no dots, so the first dot ends the first one: there is at most
    /// one way.
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

/// Collects the used paths.
#[derive(Debug)]
pub(super) struct TrieBuilder {
    slots: HashMap<Path, u32, FixedState>,
    /// By node, its keys and children in the order of first use.
    children: Vec<Vec<(Box<str>, u32)>>,
    by_segment: HashMap<(u32, Box<str>), u32, FixedState>,
    slot_of_node: Vec<u32>,
    bytes: usize,
}

impl TrieBuilder {
    /// Without paths.
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::default(),
            children: vec![Vec::new()],
            by_segment: HashMap::default(),
            slot_of_node: vec![NONE],
            bytes: 0,
        }
    }

    /// The slot of a path, which is added if it is new.
    pub(super) fn slot(&mut self, path: &Path) -> u32 {
        if let Some(&slot) = self.slots.get(path) {
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("the limits allow far fewer paths");
        self.slots.insert(path.clone(), slot);
        // The text is in the map and in the list of paths; 64 bytes for their entries. Estimates,
        // as are those in `child`: they need to be of the right size, not exact.
        self.bytes += 2 * path.as_str().len() + 64;
        let node = path
            .segments()
            .fold(ROOT, |node, segment| self.child(node, segment));
        self.slot_of_node[node as usize] = slot;
        slot
    }

    /// The approximate size in bytes, for the limit on building.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn child(&mut self, node: u32, segment: &str) -> u32 {
        let next = u32::try_from(self.children.len()).expect("the limits allow far fewer keys");
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

    /// The finished trie.
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
            // Half of the places stay free, so that a lookup that fails ends soon.
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
    u32::try_from(length).expect("the limits keep the trie small")
}

#[inline]
fn first(key: &[u8]) -> u32 {
    key.first().map_or(0, |&byte| u32::from(byte) & 63)
}

/// The first and the last up to eight bytes, which overlap in short keys. With the length they
/// determine every key of up to 16 bytes. Example: "eniStatus" gives "eniStatu" and "niStatus", and
/// "eniId", which has less than eight bytes, gives "eniI" and "niId".
// Loads of a fixed size, without a loop over bytes.
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

/// The hash of a key: Fibonacci hashing, as in `grams`. The rotation keeps head and tail from
/// cancelling each other out in short keys, where they overlap.
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
    fn a_key_with_dots_is_several_segments() {
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
    fn many_keys_of_one_node_are_distinguished() {
        let keys: Vec<String> = (0..1000).map(|i| format!("k{i}")).collect();
        let trie = trie(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(slot(&trie, &[key]) as usize, i);
        }
        assert_eq!(slot(&trie, &["k1000"]), NONE);
    }
}
