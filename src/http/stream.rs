//! A TCP stream that can report whether its client is still connected while nobody reads from it.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll, Waker, ready},
};

use rustix::net::Shutdown;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A stream whose state can be queried from elsewhere.
#[derive(Debug)]
pub struct Stream {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
}

/// The client's end, which may be closed.
#[derive(Debug, Clone, Default)]
pub struct ClientEnd(Weak<OwnedWriteHalf>);

impl Stream {
    /// Wraps the stream.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read, write: Arc::new(write) }
    }

    /// A handle for later queries; it does not keep the stream open.
    #[must_use]
    pub fn client_end(&self) -> ClientEnd {
        ClientEnd(Arc::downgrade(&self.write))
    }

    fn as_tcp(&self) -> &TcpStream {
        (*self.write).as_ref()
    }
}

impl ClientEnd {
    /// Whether the client has closed its side, or the connection is over, according to the runtime's readiness state, without a
    /// system call. A client that closed only its sending side cannot be distinguished from one that disconnected.
    #[must_use]
    pub fn has_left(&self) -> bool {
        let Some(write) = self.0.upgrade() else { return true };
        let stream: &TcpStream = (*write).as_ref();
        let ready = pin!(stream.ready(Interest::READABLE)).poll(&mut Context::from_waker(Waker::noop()));
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl Stream {
    fn poll_try<T>(&self, cx: &mut Context<'_>, attempt: impl Fn(&TcpStream) -> io::Result<T>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.as_tcp().poll_write_ready(cx))?;
            match attempt(self.as_tcp()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(self.as_tcp(), Shutdown::Write).map_err(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Stream::new(listener.accept().await.unwrap().0))
    }

    async fn left(end: &ClientEnd) {
        tokio::time::timeout(std::time::Duration::from_secs(10), async {
            while !end.has_left() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("it is noticed");
    }

    #[tokio::test]
    async fn a_client_that_closes_is_reported_as_gone() {
        let (mut client, mut stream) = pair().await;
        let end = stream.client_end();
        client.write_all(b"a").await.unwrap();
        // Even if there are unread bytes.
        stream.as_tcp().readable().await.unwrap();
        assert!(!end.has_left());
        client.shutdown().await.unwrap();
        left(&end).await;
        // It may still read.
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        stream.write_all(b"b").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'b');
        assert!(client.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_reset_and_a_dropped_stream_are_reported_as_gone() {
        let (client, stream) = pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        left(&stream.client_end()).await;
        let (_client, stream) = pair().await;
        let end = stream.client_end();
        assert!(!end.has_left());
        drop(stream);
        assert!(end.has_left());
    }
}
