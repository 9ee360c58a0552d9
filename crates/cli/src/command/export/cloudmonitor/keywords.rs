//! Scripts that look for keywords in the content, as imports of Cloud Monitor rules have them.

use crate::command::import::rule_draft::{Relation, keyword_script, quoted};

/// The keywords of which the content contains one, if that is what the script looks for.
pub(super) fn of_script(script: &str) -> Option<Vec<String>> {
    let keywords = texts_after(script, "text.contains(")?;
    let targets = texts_after(script, "notify(")?;
    let targets: Vec<String> = targets.iter().map(|target| quoted(target)).collect();
    // Only a script that says exactly that: any other may do more.
    let made = keyword_script(Relation::AnyOf, &keywords, &targets);
    (!keywords.is_empty() && made == script.trim()).then_some(keywords)
}

/// The text in quotes after each place where `start` is.
fn texts_after(script: &str, start: &str) -> Option<Vec<String>> {
    let texts = script.split(start).skip(1).map(|rest| {
        // The escapes that imports write are those of JSON.
        let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        texts.next()?.ok()
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_imported_scripts_only() {
        let keywords = ["i-prod".to_owned(), "a \"b\"".to_owned()];
        let targets = [quoted("network-team"), quoted("on-call")];
        let script = keyword_script(Relation::AnyOf, &keywords, &targets);
        assert_eq!(of_script(&format!("\n{script}\n")), Some(keywords.to_vec()));
        assert_eq!(of_script(&format!("{script} set(\"a\", 1);")), None);
        assert_eq!(
            of_script(&keyword_script(Relation::NoneOf, &keywords, &targets)),
            None
        );
        assert_eq!(of_script("notify(\"a\", \"b\")"), None);
    }
}
