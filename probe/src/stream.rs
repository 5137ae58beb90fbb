//! A TLS connection as the prober uses it.

use std::io;

use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt};

/// A connection after its handshake. Its calls come one after the other.
pub(crate) trait Stream {
    /// At most `most` bytes; none if the server has closed the connection.
    async fn read(&mut self, most: usize) -> io::Result<Vec<u8>>;

    /// Sends all bytes.
    async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()>;

    /// Sends close_notify and the end of the TCP connection.
    async fn shutdown(&mut self) -> io::Result<()>;
}

impl<S: AsyncReadRent + AsyncWriteRent> Stream for S {
    async fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let (read, bytes) = AsyncReadRent::read(self, Vec::with_capacity(most)).await;
        read.map(|_| bytes)
    }

    async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.write_all(bytes).await.0?;
        self.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        AsyncWriteRent::shutdown(self).await
    }
}
