//! A connection to PostgreSQL, used from threads that may block.
//!
//! What returns nothing is sent and not waited for: most of the time of a statement is that of its
//! message there and back. The server runs statements in the order in which they were sent, and
//! after an error none of the transaction, so that an error that comes late is the same error.
//!
//! ```text
//! INSERT …   UPDATE …   SELECT …
//!    └ sent     └ sent     └ sent, waits for all three answers
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

use super::dialect::{decode_text, encode_text, translate};
use super::{Result, ValueRef};

/// A connection with the statements that it has compiled.
pub(crate) struct Session {
    client: Arc<Client>,
    statements: RefCell<HashMap<String, Compiled>>,
    /// What was sent and not waited for, in order.
    unsettled: RefCell<Vec<Unsettled>>,
}

/// A statement that was sent.
type Unsettled =
    Pin<Box<dyn Future<Output = std::result::Result<(), tokio_postgres::Error>> + Send>>;

/// A query that was sent.
pub(super) type Query = Pin<
    Box<
        dyn Future<Output = std::result::Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>>
            + Send,
    >,
>;

/// So many are not waited for at most: each keeps its parameters.
const MAX_UNSETTLED: usize = 256;

/// A statement of ours, compiled.
#[derive(Clone)]
pub(super) struct Compiled {
    statement: Statement,
    /// Parameters in the order in which PostgreSQL has them.
    columns: Arc<[String]>,
}

/// One row, with its texts as they were before they were stored.
pub(super) struct StoredRow {
    row: tokio_postgres::Row,
    columns: Arc<[String]>,
    /// Columns whose texts were changed to be stored.
    decoded: Vec<(usize, String)>,
}

/// Wakes a thread.
struct Unpark(Thread);

/// Runs a future to its end on this thread, which may be one of an asynchronous runtime: what the
/// future waits for happens on the thread of the connections.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Session {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client: Arc::new(client),
            statements: RefCell::default(),
            unsettled: RefCell::default(),
        }
    }

    /// Compiles a statement, unless it was compiled before.
    pub(super) fn prepare(&self, sql: &str) -> Result<Compiled> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let translated = translate(sql);
        let statement = wait(self.client.prepare(&translated));
        self.settle()?;
        let statement = statement?;
        let columns = statement.columns().iter();
        let columns = columns.map(|column| column.name().to_owned()).collect();
        let compiled = Compiled { statement, columns };
        let mut statements = self.statements.borrow_mut();
        statements.insert(sql.to_owned(), compiled.clone());
        Ok(compiled)
    }

    pub(super) fn query(
        &self,
        compiled: &Compiled,
        values: &[ValueRef<'_>],
    ) -> Result<Vec<StoredRow>> {
        let parameters = Parameter::all(values);
        let parameters = Parameter::references(&parameters);
        let rows = wait(self.client.query(&compiled.statement, &parameters));
        self.settle()?;
        let rows = rows?;
        let rows = rows.into_iter().map(|row| StoredRow::new(row, compiled));
        rows.collect()
    }

    /// Sends a query; [`Session::receive`] waits for it.
    pub(super) fn send_query(&self, compiled: &Compiled, values: &[ValueRef<'_>]) -> Query {
        let (client, statement) = (self.client.clone(), compiled.statement.clone());
        let values: Vec<_> = values.iter().copied().map(Kept::from).collect();
        let mut sent: Query = Box::pin(async move {
            let parameters: Vec<_> = values.iter().map(|one| Parameter(one.value())).collect();
            let parameters = Parameter::references(&parameters);
            client.query(&statement, &parameters).await
        });
        // The first poll sends it. It is not ready then: the answer comes later.
        match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Box::pin(std::future::ready(result)),
            Poll::Pending => sent,
        }
    }

    /// Waits for queries that were sent.
    pub(super) fn receive(
        &self,
        sent: Vec<Query>,
        compiled: &Compiled,
    ) -> Result<Vec<Vec<StoredRow>>> {
        let answers: Vec<_> = sent.into_iter().map(wait).collect();
        self.settle()?;
        let read = |answer: std::result::Result<Vec<tokio_postgres::Row>, _>| {
            let rows = answer?.into_iter();
            rows.map(|row| StoredRow::new(row, compiled)).collect()
        };
        answers.into_iter().map(read).collect()
    }

    pub(super) fn execute(&self, compiled: &Compiled, values: &[ValueRef<'_>]) -> Result<usize> {
        let parameters = Parameter::all(values);
        let parameters = Parameter::references(&parameters);
        let changed = wait(self.client.execute(&compiled.statement, &parameters));
        self.settle()?;
        Ok(usize::try_from(changed?).unwrap_or(usize::MAX))
    }

    /// Sends a statement and does not wait for it.
    pub(super) fn run(&self, compiled: &Compiled, values: &[ValueRef<'_>]) -> Result<()> {
        let (client, statement) = (self.client.clone(), compiled.statement.clone());
        let values: Vec<_> = values.iter().copied().map(Kept::from).collect();
        let mut sent: Unsettled = Box::pin(async move {
            let parameters: Vec<_> = values.iter().map(|one| Parameter(one.value())).collect();
            let parameters = Parameter::references(&parameters);
            client.execute(&statement, &parameters).await.map(drop)
        });
        // The first poll sends it.
        match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => {
                self.settle()?;
                Ok(result?)
            }
            Poll::Pending => {
                let mut unsettled = self.unsettled.borrow_mut();
                unsettled.push(sent);
                let is_full = unsettled.len() >= MAX_UNSETTLED;
                drop(unsettled);
                if is_full { self.settle() } else { Ok(()) }
            }
        }
    }

    /// Waits for what was sent and not waited for. Returns its first error.
    pub(super) fn settle(&self) -> Result<()> {
        let unsettled = self.unsettled.take();
        let results: Vec<_> = unsettled.into_iter().map(wait).collect();
        Ok(results
            .into_iter()
            .collect::<std::result::Result<(), _>>()?)
    }

    /// Whether the connection was lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters and returns the first column of the last row.
    pub(crate) fn read_last(&self, sql: &str) -> Result<Option<String>> {
        let messages = wait(self.client.simple_query(sql));
        self.settle()?;
        let messages = messages?;
        let mut last = None;
        for message in &messages {
            if let SimpleQueryMessage::Row(row) = message {
                last = row.try_get(0)?.map(str::to_owned);
            }
        }
        Ok(last)
    }

    /// Sends statements without parameters and results on another thread; what becomes of them is not
    /// known here.
    pub(crate) fn send(&self, sql: &str) -> impl Future<Output = ()> + Send + use<> {
        let (client, sql) = (self.client.clone(), sql.to_owned());
        async move { drop(client.batch_execute(&sql).await) }
    }

    /// Runs statements without parameters and results.
    pub(super) fn execute_batch(&self, sql: &str) -> Result<()> {
        let translated = translate(sql);
        let result = wait(self.client.batch_execute(&translated));
        self.settle()?;
        Ok(result?)
    }
}

impl StoredRow {
    fn new(row: tokio_postgres::Row, compiled: &Compiled) -> Result<Self> {
        let mut decoded = Vec::new();
        for column in 0..row.len() {
            if let Raw::Text(text) = row.try_get(column)?
                && let Some(text) = decode_text(text)
            {
                decoded.push((column, text));
            }
        }
        Ok(Self {
            row,
            columns: compiled.columns.clone(),
            decoded,
        })
    }

    pub(super) fn value(&self, column: usize) -> Result<ValueRef<'_>> {
        if let Some((_, text)) = self.decoded.iter().find(|(of, _)| *of == column) {
            return Ok(ValueRef::Text(text.as_bytes()));
        }
        Ok(match self.row.try_get(column)? {
            Raw::Null => ValueRef::Null,
            Raw::Integer(number) => ValueRef::Integer(number),
            Raw::Real(number) => ValueRef::Real(number),
            Raw::Text(text) => ValueRef::Text(text.as_bytes()),
            Raw::Blob(bytes) => ValueRef::Blob(bytes),
        })
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }
}

/// A value as PostgreSQL sends it.
enum Raw<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(
        kind: &Type,
        bytes: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::BOOL => Self::Integer(bool::from_sql(kind, bytes)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(kind, bytes)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, bytes)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, bytes)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, bytes)?),
            Type::BYTEA => Self::Blob(bytes),
            _ => Self::Text(<&str>::from_sql(kind, bytes)?),
        })
    }

    fn from_sql_null(
        _kind: &Type,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT8 | Type::BYTEA
        ) || <&str as FromSql>::accepts(kind)
    }
}

/// The value of a parameter that is sent and not waited for.
enum Kept {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Kept {
    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl From<ValueRef<'_>> for Kept {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(text.to_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }
}

/// A parameter, sent as the type that PostgreSQL expects.
#[derive(Debug)]
struct Parameter<'a>(ValueRef<'a>);

impl<'a> Parameter<'a> {
    fn all(values: &[ValueRef<'a>]) -> Vec<Self> {
        values.iter().copied().map(Parameter).collect()
    }

    fn references(values: &'a [Self]) -> Vec<&'a (dyn ToSql + Sync)> {
        values
            .iter()
            .map(|value| value as &(dyn ToSql + Sync))
            .collect()
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self.0, kind) {
            (ValueRef::Null, _) => Ok(IsNull::Yes),
            (ValueRef::Integer(number), &Type::INT8) => number.to_sql(kind, out),
            (ValueRef::Integer(number), &Type::INT4) => i32::try_from(number)?.to_sql(kind, out),
            (ValueRef::Integer(number), &Type::BOOL) => (number != 0).to_sql(kind, out),
            // Beside a text, as where SQLite compares any two types.
            (ValueRef::Integer(number), _) => number.to_string().to_sql(kind, out),
            (ValueRef::Real(number), _) => number.to_sql(kind, out),
            (ValueRef::Text(text), _) => encode_text(std::str::from_utf8(text)?).to_sql(kind, out),
            (ValueRef::Blob(bytes), _) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
