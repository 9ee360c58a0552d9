//! The tables and indexes of the file, read from its own schema: a walk over all of them leaves
//! none out when another migration adds one.

use rusqlite::Connection;

use crate::tree::Tree;

/// All tables and indexes.
pub(super) fn trees(connection: &Connection) -> rusqlite::Result<Vec<Tree>> {
    let sql = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema
               WHERE type IN ('table', 'index') AND rootpage > 0 ORDER BY tbl_name, type DESC, name";
    let mut statement = connection.prepare(sql)?;
    let entries = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let entries: Vec<(String, String, String, String)> = entries.collect::<Result<_, _>>()?;
    let mut trees = Vec::new();
    for (kind, name, table, sql) in entries {
        let is_index = kind == "index";
        // The primary key of a table WITHOUT ROWID is an index, with the whole rows in it.
        let index = if is_index {
            Some(name.clone())
        } else {
            primary_key(connection, &name)?
        };
        let key = match index {
            Some(index) => index_columns(connection, &index, is_index)?,
            None => vec!["rowid".to_owned()],
        };
        let condition = is_index.then(|| sql.split_once("WHERE ")).flatten();
        let condition = condition.map_or("", |(_, condition)| condition);
        let nullable = nullable_columns(connection, &table)?;
        let is_ordered = key.iter().all(|column| {
            !nullable.contains(column) || condition.contains(&format!("{column} IS NOT NULL"))
        });
        trees.push(Tree {
            name,
            table,
            key,
            is_index,
            condition: Some(condition.to_owned()).filter(|condition| !condition.is_empty()),
            is_ordered,
        });
    }
    Ok(trees)
}

/// The index that is the table, if the table is WITHOUT ROWID.
fn primary_key(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT i.name FROM pragma_index_list(?1) AS i
               JOIN pragma_table_list(?1) AS t ON t.wr WHERE i.origin = 'pk'";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([table])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// The columns of a table that can be NULL.
fn nullable_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_info(?1) WHERE NOT \"notnull\" AND NOT pk";
    let mut statement = connection.prepare(sql)?;
    let columns = statement.query_map([table], |row| row.get(0))?;
    columns.collect()
}

/// The columns of an index, with those of the table's key at the end if `all`.
fn index_columns(connection: &Connection, index: &str, all: bool) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT coalesce(name, 'rowid') FROM pragma_index_xinfo(?1)
               WHERE ?2 OR key ORDER BY seqno";
    let mut statement = connection.prepare(sql)?;
    let columns = statement.query_map((index, all), |row| row.get(0))?;
    columns.collect()
}
