//! Where a connection writes what is to be sent.

use bytes::{BufMut, Bytes, BytesMut};

/// The buffer that [`Connection::transmit`](crate::Connection::transmit) appends to: a vector of
/// bytes, or a list of pieces for a vectored write.
///
/// ```
/// use bytes::Bytes;
/// use corelane_http2::TransmitBuffer;
///
/// /// Keeps large data as it is, and the rest in one piece each between.
/// #[derive(Default)]
/// struct Pieces {
///     complete: Vec<Bytes>,
///     last: Vec<u8>,
/// }
///
/// impl TransmitBuffer for Pieces {
///     fn put_slice(&mut self, bytes: &[u8]) {
///         self.last.extend_from_slice(bytes);
///     }
///
///     fn put_data(&mut self, data: &Bytes, length: usize) {
///         if length < 1024 {
///             return self.put_slice(&data[..length]);
///         }
///         self.complete.push(std::mem::take(&mut self.last).into());
///         self.complete.push(data.slice(..length));
///     }
/// }
/// ```
pub trait TransmitBuffer {
    /// Appends frame heads and frames of the connection.
    fn put_slice(&mut self, bytes: &[u8]);

    /// Appends the first `length` bytes of `data`, which the caller gave to
    /// [`Connection::send_data`](crate::Connection::send_data). It has as many. They are copied,
    /// unless an implementation keeps a slice of `data` in their place.
    #[inline]
    fn put_data(&mut self, data: &Bytes, length: usize) {
        self.put_slice(&data[..length]);
    }
}

impl TransmitBuffer for Vec<u8> {
    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl TransmitBuffer for BytesMut {
    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        BufMut::put_slice(self, bytes);
    }
}
