//! A byte stream that is lent to a library for the length of one call.

use std::{cell::Cell, fmt, io::Read, mem, ptr::NonNull, rc::Rc};

/// A place from which the stream of a library reads what the caller of the library has borrowed.
///
/// A library such as OpenSSL owns its stream, so the stream cannot hold a reference to a socket that is
/// lent for one call. It holds a clone of this instead. Clones share the place.
///
/// ```
/// use std::io::Read;
/// use openssl_ticket_keys::Lent;
///
/// let place = Lent::default();
/// let of_the_library = place.clone();
/// let mut wire = &b"bytes"[..];
/// let read = place.lend(&mut wire, || of_the_library.with(|wire| wire.read(&mut [0; 2])));
/// assert_eq!(read.expect("lent").expect("read"), 2);
/// assert_eq!(wire, b"tes");
/// assert!(of_the_library.with(|_| ()).is_none());
/// ```
#[derive(Clone, Default)]
pub struct Lent(Rc<Place>);

/// The pointer is valid, and the only way to its stream, as long as it is here: `lend` puts it here,
/// and takes it away before the borrow that it comes from ends.
#[derive(Default)]
struct Place(Cell<Option<NonNull<dyn Read>>>);

impl Lent {
    /// Lends `wire` until `call` returns.
    pub fn lend<T>(&self, wire: &mut dyn Read, call: impl FnOnce() -> T) -> T {
        let wire: NonNull<dyn Read + '_> = NonNull::from(wire);
        // SAFETY: the two types differ in the lifetime only, which pointers do not have at run time.
        // Nothing keeps the pointer for longer than `wire` is borrowed, which is until this function
        // returns: `Return` removes it, even if `call` panics. Only `with` uses it.
        let wire = unsafe { mem::transmute::<NonNull<dyn Read + '_>, NonNull<dyn Read>>(wire) };
        let _return = Return {
            place: &self.0,
            before: self.0.0.replace(Some(wire)),
        };
        call()
    }

    /// Passes the stream to `call`. `None` if none is lent, or if an outer call of `with` has it.
    pub fn with<T>(&self, call: impl FnOnce(&mut dyn Read) -> T) -> Option<T> {
        let mut wire = self.0.0.take()?;
        let _return = Return {
            place: &self.0,
            before: Some(wire),
        };
        // SAFETY: the pointer was in its place, so the `lend` that put it there has not returned, and
        // its reference is still borrowed and not used there. No one else makes a reference from it
        // before this function returns: it has left its place until then, and comes back by `Return`.
        // The reference cannot leave `call`, which must accept any lifetime.
        Some(call(unsafe { wire.as_mut() }))
    }
}

/// Restores a place. Both functions make it when they are entered and drop it when they are left, also
/// by a panic, so places are restored in the opposite order of the changes: while a pointer is in its
/// place, the call of `lend` that it comes from is running.
struct Return<'a> {
    place: &'a Place,
    before: Option<NonNull<dyn Read>>,
}

impl Drop for Return<'_> {
    fn drop(&mut self) {
        self.place.0.set(self.before);
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// What the stream that is lent has next.
    fn next(place: &Lent) -> Option<u8> {
        let mut byte = [0];
        place.with(|wire| wire.read_exact(&mut byte).expect("enough"))?;
        Some(byte[0])
    }

    #[test]
    fn a_stream_is_lent_until_the_call_returns() {
        let place = Lent::default();
        assert_eq!(next(&place), None);
        let mut wire = &b"ab"[..];
        let read = place.lend(&mut wire, || [next(&place), next(&place.clone())]);
        assert_eq!(read, [Some(b'a'), Some(b'b')]);
        assert_eq!(next(&place), None);
        // The borrow has ended.
        wire = b"c";
        assert_eq!(place.lend(&mut wire, || next(&place)), Some(b'c'));
    }

    #[test]
    fn an_inner_loan_hides_the_outer_one() {
        let place = Lent::default();
        let (mut outer, mut inner) = (&b"ac"[..], &b"b"[..]);
        place.lend(&mut outer, || {
            assert_eq!(next(&place), Some(b'a'));
            assert_eq!(place.lend(&mut inner, || next(&place)), Some(b'b'));
            assert_eq!(next(&place), Some(b'c'));
        });
        assert_eq!(next(&place), None);
    }

    #[test]
    fn a_stream_in_use_is_not_passed_again() {
        let place = Lent::default();
        let (mut outer, mut inner) = (&b"ad"[..], &b"c"[..]);
        place.lend(&mut outer, || {
            place.with(|wire| {
                assert_eq!(next(&place), None);
                wire.read_exact(&mut [0]).expect("a");
                // Another one may be lent meanwhile.
                assert_eq!(place.lend(&mut inner, || next(&place)), Some(b'c'));
                assert_eq!(next(&place), None);
            });
            assert_eq!(next(&place), Some(b'd'));
        });
    }

    /// A stream that panics.
    struct Panics;

    impl Read for Panics {
        fn read(&mut self, _buf: &mut [u8]) -> std::io::Result<usize> {
            panic!("the test's panic")
        }
    }

    #[test]
    fn a_panic_ends_the_loan() {
        let place = Lent::default();
        let lend = || place.lend(&mut Panics, || next(&place));
        catch_unwind(AssertUnwindSafe(lend)).expect_err("a panic");
        assert_eq!(next(&place), None);
        // One that is caught within the call, as crate openssl does, leaves the stream in its place.
        place.lend(&mut Panics, || {
            for _ in 0..2 {
                catch_unwind(AssertUnwindSafe(|| next(&place))).expect_err("a panic");
            }
        });
        assert_eq!(next(&place), None);
    }

    #[test]
    fn swapped_places_are_empty_after_the_call() {
        let (here, there) = (Lent::default(), Lent::default());
        let (mut mine, mut other) = (here.clone(), there.clone());
        let mut wire = &b"a"[..];
        here.lend(&mut wire, || {
            mem::swap(&mut mine, &mut other);
            assert_eq!(next(&mine), None);
            assert_eq!(next(&other), Some(b'a'));
        });
        for place in [here, there, mine, other] {
            assert_eq!(next(&place), None);
        }
    }
}
