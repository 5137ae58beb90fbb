//! The `date` header (RFC 9110 section 6.6.1), formatted once a second per worker.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;

thread_local! {
    static CACHED: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The value for now; `None` if the clock is before 1970.
pub(crate) fn now() -> Option<HeaderValue> {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    CACHED.with_borrow_mut(|cached| {
        if let Some((cached_second, value)) = cached
            && *cached_second == second
        {
            return Some(value.clone());
        }
        let value = format(second)?;
        *cached = Some((second, value.clone()));
        Some(value)
    })
}

fn format(second: u64) -> Option<HeaderValue> {
    // httpdate panics past the year 9999.
    const YEAR_10000: u64 = 253_402_300_800;
    if second >= YEAR_10000 {
        return None;
    }
    HeaderValue::try_from(httpdate::fmt_http_date(
        UNIX_EPOCH + Duration::from_secs(second),
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_imf_fixdate() {
        let value = format(784_111_777).expect("within range");
        assert_eq!(value, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(format(u64::MAX).is_none());
    }

    #[test]
    fn now_is_now() {
        let value = now().expect("the clock is past 1970");
        let parsed = httpdate::parse_http_date(value.to_str().expect("ASCII")).expect("a date");
        let age = SystemTime::now().duration_since(parsed).expect("not ahead");
        assert!(age < Duration::from_secs(5));
    }
}
