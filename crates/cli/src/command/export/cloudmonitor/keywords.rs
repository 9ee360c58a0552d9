//! Scripts that look for keywords in the content, as imports of Cloud Monitor rules have them.

use crate::command::import::rule_draft::{Relation, keyword_script, quoted};

/// The keywords of which the content contains one, if that is what the script looks for.
pub(super) fn of_script(script: &str) -> Option<Vec<String>> {
    let condition = script.lines().nth(1)?;
    let keywords = condition.split("text.contains(").skip(1).map(|rest| {
        let end = rest.rfind("\")").map(|at| at + 1)?;
        // The escapes that imports write are those of JSON.
        serde_json::from_str::<String>(&rest[..end]).ok()
    });
    let keywords: Vec<String> = keywords.collect::<Option<_>>()?;
    let targets = script.split("notify(").skip(1).map(|rest| {
        let end = rest.find("\", #{").map(|at| at + 1)?;
        serde_json::from_str::<String>(&rest[..end]).ok()
    });
    let targets: Vec<String> = targets.collect::<Option<_>>()?;
    let targets: Vec<String> = targets.iter().map(|target| quoted(target)).collect();
    // Only a script that says exactly that: any other may do more.
    let made = keyword_script(Relation::AnyOf, &keywords, &targets);
    (!keywords.is_empty() && made == script.trim()).then_some(keywords)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_imported_scripts_only() {
        let keywords = ["i-prod".to_owned(), "a \"b\"".to_owned()];
        let targets = [quoted("network-team"), quoted("on-call")];
        let script = keyword_script(Relation::AnyOf, &keywords, &targets);
        assert_eq!(
            of_script(&format!("\n{script}\n").trim()),
            Some(keywords.to_vec())
        );
        assert_eq!(of_script(&format!("{script} set(\"a\", 1);")), None);
        assert_eq!(
            of_script(&keyword_script(Relation::NoneOf, &keywords, &targets)),
            None
        );
        assert_eq!(of_script("notify(\"a\", \"b\")"), None);
    }
}
