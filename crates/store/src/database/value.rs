//! Values of parameters and columns.

/// A value that is borrowed from a row, or from what becomes a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ValueRef<'a> {
    Null,
    Integer(i64),
    Real(f64),
    /// Not a `str`: the text of a damaged row need not be UTF-8.
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// What a parameter is made from.
pub(crate) trait ToValue {
    /// The parameter.
    fn to_value(&self) -> ValueRef<'_>;
}

/// What the value of a column becomes.
pub(crate) trait FromValue: Sized {
    /// The value; or what was expected, as in "is not …".
    fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str>;
}

impl<'a> ValueRef<'a> {
    /// The bytes of a text or blob.
    pub(crate) fn as_bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes of a blob.
    pub(crate) fn as_blob(self) -> Result<&'a [u8], &'static str> {
        match self {
            Self::Blob(bytes) => Ok(bytes),
            _ => Err("a blob"),
        }
    }

    /// The bytes of a blob; `None` if it is NULL.
    pub(crate) fn as_blob_or_null(self) -> Result<Option<&'a [u8]>, &'static str> {
        match self {
            Self::Blob(bytes) => Ok(Some(bytes)),
            Self::Null => Ok(None),
            _ => Err("a blob"),
        }
    }
}

impl<'a> From<rusqlite::types::ValueRef<'a>> for ValueRef<'a> {
    fn from(value: rusqlite::types::ValueRef<'a>) -> Self {
        use rusqlite::types::ValueRef as Sqlite;
        match value {
            Sqlite::Null => Self::Null,
            Sqlite::Integer(number) => Self::Integer(number),
            Sqlite::Real(number) => Self::Real(number),
            Sqlite::Text(text) => Self::Text(text),
            Sqlite::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl rusqlite::ToSql for ValueRef<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef as Sqlite;
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match *self {
            Self::Null => Sqlite::Null,
            Self::Integer(number) => Sqlite::Integer(number),
            Self::Real(number) => Sqlite::Real(number),
            Self::Text(text) => Sqlite::Text(text),
            Self::Blob(bytes) => Sqlite::Blob(bytes),
        }))
    }
}

impl ToValue for Value {
    fn to_value(&self) -> ValueRef<'_> {
        match self {
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }
}

impl ToValue for ValueRef<'_> {
    fn to_value(&self) -> ValueRef<'_> {
        *self
    }
}

impl ToValue for str {
    fn to_value(&self) -> ValueRef<'_> {
        ValueRef::Text(self.as_bytes())
    }
}

impl ToValue for String {
    fn to_value(&self) -> ValueRef<'_> {
        ValueRef::Text(self.as_bytes())
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> ValueRef<'_> {
        ValueRef::Blob(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> ValueRef<'_> {
        ValueRef::Blob(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> ValueRef<'_> {
        ValueRef::Blob(self)
    }
}

impl ToValue for bool {
    fn to_value(&self) -> ValueRef<'_> {
        ValueRef::Integer(i64::from(*self))
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, ToValue::to_value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> ValueRef<'_> {
        (**self).to_value()
    }
}

/// Integers, which have 64 bits in both databases.
macro_rules! integers {
    ($($to:ty),*; $($from:ty),*) => {
        $(impl ToValue for $to {
            fn to_value(&self) -> ValueRef<'_> {
                ValueRef::Integer(i64::from(*self))
            }
        })*
        $(impl FromValue for $from {
            fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str> {
                match value {
                    ValueRef::Integer(number) => {
                        number.try_into().map_err(|_| "a number within its range")
                    }
                    _ => Err("an integer"),
                }
            }
        })*
    };
}

integers!(i64, i32, u32, u16, u8; i64, i32, u64, u32, u16, u8, usize);

impl FromValue for bool {
    fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str> {
        match value {
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).map_err(|_| "text in UTF-8")?;
                Ok(text.to_owned())
            }
            _ => Err("text"),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str> {
        match value {
            ValueRef::Blob(bytes) => Ok(bytes.to_vec()),
            _ => Err("a blob"),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str> {
        match value {
            ValueRef::Blob(bytes) => bytes.try_into().map_err(|_| "a blob of its length"),
            _ => Err("a blob"),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: ValueRef<'_>) -> Result<Self, &'static str> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}
