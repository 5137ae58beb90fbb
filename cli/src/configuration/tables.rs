//! Tables of the configuration file: `[[route]]`.

use std::ffi::OsString;

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeValue, ValueDeserializer},
};

use super::{
    secret,
    setting::{Setting, Source},
};
use crate::routes::RouteSpec;

/// The key whose values may be tables.
const ROUTE: &str = "route";

/// The tables of this key. `None`: its values are none.
pub(super) fn of<'a, 'i>(
    key: &str,
    value: &'a DeValue<'i>,
) -> Option<Vec<&'a Spanned<DeValue<'i>>>> {
    let DeValue::Array(values) = value else {
        return None;
    };
    let tables = values.iter().filter(|value| value.get_ref().is_table());
    let tables: Vec<_> = tables.collect();
    (key == ROUTE && !tables.is_empty() && tables.len() == values.len()).then_some(tables)
}

/// The setting of one table. The flag takes the same table, in one line. A mistake has its place in the
/// file.
pub(super) fn read(
    table: &Spanned<DeValue<'_>>,
    source: impl FnOnce(usize) -> Source,
) -> Result<Setting, (usize, String)> {
    let start = start(table);
    secret::check_toml(table.get_ref()).map_err(|mistake| (start, mistake))?;
    let wrong = |error: toml::de::Error| {
        let at = error.span().map_or(start, |span| span.start.max(start));
        (at, format!("[[route]]: {}", error.message().trim()))
    };
    let spec = RouteSpec::deserialize(ValueDeserializer::from(table.clone())).map_err(wrong)?;
    let value = toml::Value::deserialize(ValueDeserializer::from(table.clone())).map_err(wrong)?;
    let name = format!("{ROUTE} {}", spec.prefix());
    let value = OsString::from(value.to_string());
    Ok(Setting::of_table(ROUTE, name, source(start), value))
}

/// Where the table is: the span of `[[route]]` ends before its keys.
fn start(table: &Spanned<DeValue<'_>>) -> usize {
    let keys = table.get_ref().as_table().into_iter().flatten();
    let first = keys.map(|(key, _)| key.span().start).min();
    first.unwrap_or(table.span().start).min(table.span().start)
}
