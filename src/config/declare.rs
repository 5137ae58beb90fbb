//! Declares limits: each one makes its documentation, its default, its check and a row of the table in
//! docs/limits.md.

use std::{fmt, ops::RangeInclusive, time::Duration};

use crate::error::Error;

/// One limit, as the table in docs/limits.md shows it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Limit {
    /// The struct that has it: `Limits`, `Http2Config` or `Builder`; empty for a constant.
    pub owner: &'static str,
    pub name: &'static str,
    /// The unit of a value; empty for a plain number.
    pub unit: &'static str,
    pub default: fn() -> DefaultValue,
    pub why: &'static str,
    /// The effect that the peer sees when it reaches the limit.
    pub peer: &'static str,
}

/// A default, for the table.
#[doc(hidden)]
#[derive(Debug)]
pub enum DefaultValue {
    None,
    Number(u64),
    Time(Duration),
}

impl From<u32> for DefaultValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for DefaultValue {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<Duration> for DefaultValue {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl<T: Into<Self>> From<Option<T>> for DefaultValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl From<u64> for DefaultValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// Declares an options struct. Each field states its unit, its default with a reason, its range,
/// and the effect for the peer. These make the documentation, `Default`, the setter, `validate` and
/// a row of LIMITS.
macro_rules! options {
    (
        $(#[$attribute:meta])*
        pub struct $Options:ident in $rows:ident {
            $(
                $(#[doc = $doc:literal])*
                #[unit = $unit:literal]
                #[default($default:expr, $why:literal)]
                #[range($range:expr)]
                #[peer = $peer:literal]
                pub $field:ident: $type:ty, $argument:ty;
            )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct $Options {
            $(
                $(#[doc = $doc])*
                ///
                #[doc = concat!("Default `", stringify!($default), "`: ", $why, ".")]
                pub $field: $type,
            )*
        }

        impl Default for $Options {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $Options {
            $(
                #[doc = concat!(
                    "Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ")."
                )]
                #[must_use]
                pub fn $field(mut self, $field: $argument) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*

            pub(crate) fn validate(&self) -> Result<(), $crate::error::Error> {
                $($crate::config::declare::in_range(
                    concat!(stringify!($Options), "::", stringify!($field)),
                    self.$field,
                    $range,
                )?;)*
                Ok(())
            }
        }

        pub(super) const $rows: &[$crate::config::declare::Limit] = &[$(
            $crate::config::declare::Limit {
                owner: stringify!($Options),
                name: stringify!($field),
                unit: $unit,
                default: || $Options::default().$field.into(),
                why: $why,
                peer: $peer,
            },
        )*];
    };
}

/// Declares constants that are limits, each with its row of LIMITS.
macro_rules! constants {
    (in $rows:ident; $(
        $(#[doc = $doc:literal])*
        #[limit($owner:literal, $name:literal, $unit:literal)]
        #[why = $why:literal]
        #[peer = $peer:literal]
        $visibility:vis const $constant:ident: $type:ty = $value:expr;
    )*) => {
        $(
            $(#[doc = $doc])*
            ///
            #[doc = concat!("`", stringify!($value), "`: ", $why, ".")]
            $visibility const $constant: $type = $value;
        )*

        pub(super) const $rows: &[$crate::config::declare::Limit] = &[$(
            $crate::config::declare::Limit {
                owner: $owner,
                name: $name,
                unit: $unit,
                default: || $constant.into(),
                why: $why,
                peer: $peer,
            },
        )*];
    };
}

pub(super) fn in_range<T: Bounded>(
    name: &str,
    value: impl Into<Option<T>>,
    range: RangeInclusive<T>,
) -> Result<(), Error> {
    match value.into() {
        Some(value) if !range.contains(&value) => {
            let range = T::describe(&range);
            Err(Error::config(format!(
                "{name} is {value:?}, it must be {range}"
            )))
        }
        _ => Ok(()),
    }
}

/// The type of a limit.
pub(super) trait Bounded: PartialOrd + fmt::Debug {
    /// The range, as an error message gives it.
    fn describe(range: &RangeInclusive<Self>) -> String
    where
        Self: Sized,
    {
        format!("from {:?} to {:?}", range.start(), range.end())
    }
}

impl Bounded for u32 {}
impl Bounded for u64 {}
impl Bounded for usize {}

impl Bounded for Duration {
    /// Every time has the range `TIME` of limits.rs: more than zero, and whole days at the end.
    fn describe(range: &RangeInclusive<Self>) -> String {
        let days = range.end().as_secs() / (24 * 60 * 60);
        format!("more than 0 and at most {days} days")
    }
}
