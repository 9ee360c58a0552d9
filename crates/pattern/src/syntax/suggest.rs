//! Did you mean …?

/// The candidate closest to `word`, if one is close enough to be meant: fewer than half of its characters differ, and
/// at most three. Case and the choice between space, `-` and `_` count for less than a character.
pub(crate) fn closest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (plain(candidate), candidate))
        .filter(|(text, _)| text.len().abs_diff(wanted.len()) <= MOST)
        .map(|(text, candidate)| (distance(&wanted, &text), candidate))
        .filter(|(distance, candidate)| {
            *distance <= MOST && distance * 2 < candidate.chars().count().max(3)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Most characters that may differ.
const MOST: usize = 3;

/// The number of characters to insert, delete, replace or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, &l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &r) in right.iter().enumerate() {
            let mut cost = (above[j] + usize::from(l != r))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let operators = ["prefix", "suffix", "exists", "anything-but", "cidr"];
        assert_eq!(closest("prefx", operators), Some("prefix"));
        assert_eq!(closest("sufifx", operators), Some("suffix"));
        assert_eq!(closest("Prefix", operators), Some("prefix"));
        assert_eq!(closest("anything_but", operators), Some("anything-but"));
        assert_eq!(closest("cdr", operators), Some("cidr"));
        assert_eq!(closest("between", operators), None);
        assert_eq!(closest("x", operators), None);
    }
}
