//! A table or index, as it is read to be checked.

/// A table or index. Each is a B-tree of pages of its own.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Its name.
    pub(crate) name: String,
    pub(crate) table: String,
    /// The columns by which its rows are ordered; no two rows have the same.
    pub(crate) key: Vec<String>,
    /// Whether it is an index, whose rows are only their keys.
    pub(crate) is_index: bool,
    /// The condition of a partial index.
    pub(crate) condition: Option<String>,
    /// Whether no column of the key can be NULL, so that a query can begin behind any key. The
    /// others are partial indexes of what is pending or has failed, which are small.
    pub(crate) is_ordered: bool,
}

impl Tree {
    /// A query for the rows whose keys are after `?1, …` and, with `before`, before the parameters
    /// behind those; in order, or in descending order. The first columns are the key.
    pub(crate) fn query(&self, after: bool, before: bool, descending: bool) -> String {
        let Self { table, name, .. } = self;
        let columns = self.key.join(", ");
        let (all, index) = if self.is_index {
            ("", format!("INDEXED BY {name}"))
        } else {
            (", *", String::new())
        };
        let width = self.key.len();
        let parameters = |first: usize| {
            let numbers = first..first + width;
            let numbers = numbers.map(|number| format!("?{number}"));
            numbers.collect::<Vec<_>>().join(", ")
        };
        let mut conditions: Vec<String> = self.condition.iter().cloned().collect();
        if after {
            conditions.push(format!("({columns}) > ({})", parameters(1)));
        }
        if before {
            let first = if after { width + 1 } else { 1 };
            conditions.push(format!("({columns}) < ({})", parameters(first)));
        }
        if conditions.is_empty() {
            conditions.push("true".to_owned());
        }
        let conditions = conditions.join(" AND ");
        let direction = if descending { " DESC" } else { "" };
        let order = self.key.join(&format!("{direction}, "));
        format!(
            "SELECT {columns}{all} FROM {table} {index} WHERE {conditions}
             ORDER BY {order}{direction}"
        )
    }
}
