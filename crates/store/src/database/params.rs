//! The parameters of a statement.

use super::{ToValue, ValueRef};

/// Parameters: a tuple, an array, or what [`params!`](params) and [`params_from_iter`] make.
pub(crate) trait Params {
    /// Runs `run` with the values, in their order.
    // A closure, so that the values of a tuple can be borrowed in an array without a heap.
    fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R;
}

/// Parameters whose number is known only at run time.
pub(crate) struct ParamsFromIter<I>(I);

/// Parameters from an iterator over values.
pub(crate) fn params_from_iter<I>(values: I) -> ParamsFromIter<I>
where
    I: IntoIterator,
    I::Item: ToValue,
{
    ParamsFromIter(values)
}

/// More parameters than a tuple has elements.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::database::ToValue),*] as &[&dyn $crate::database::ToValue]
    };
}
pub(crate) use params;

impl<I> Params for ParamsFromIter<I>
where
    I: IntoIterator,
    I::Item: ToValue,
{
    fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R {
        let values: Vec<_> = self.0.into_iter().collect();
        let values: Vec<_> = values.iter().map(ToValue::to_value).collect();
        run(&values)
    }
}

impl Params for &[&dyn ToValue] {
    fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R {
        let values: Vec<_> = self.iter().map(|value| value.to_value()).collect();
        run(&values)
    }
}

impl<T: ToValue, const N: usize> Params for [T; N] {
    fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R {
        run(&self.each_ref().map(ToValue::to_value))
    }
}

impl<T: ToValue, const N: usize> Params for &[T; N] {
    fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R {
        run(&self.each_ref().map(ToValue::to_value))
    }
}

impl Params for () {
    fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R {
        run(&[])
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))*) => {
        $(impl<$($name: ToValue),+> Params for ($($name,)+) {
            #[allow(non_snake_case, reason = "the names of the types are those of the values")]
            fn with<R>(self, run: impl FnOnce(&[ValueRef<'_>]) -> R) -> R {
                let ($($name,)+) = &self;
                run(&[$($name.to_value()),+])
            }
        })*
    };
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
    (A B C D E F G H I) (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L)
    (A B C D E F G H I J K L M) (A B C D E F G H I J K L M N)
}
