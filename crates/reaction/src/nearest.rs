//! "Did you mean": the nearest of the names there are.

/// The known name that `wrong` is most likely meant to be.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (wrong.chars().count() / 3).max(1);
    let lower = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_and_strangers_are_not() {
        let known = ["notify", "send", "log"];
        assert_eq!(nearest("notfiy", known), Some("notify"));
        assert_eq!(nearest("Notify", known), Some("notify"));
        assert_eq!(nearest("sed", known), Some("send"));
        assert_eq!(nearest("quarantine", known), None);
    }
}
