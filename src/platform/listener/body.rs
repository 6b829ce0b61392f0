//! Meters a request body: its size and, while we wait for the client, its rate (promise P20).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

/// Limits of one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// Bytes in all.
    pub(super) bytes_max: u64,
    /// Time a client may be waited for before the rate counts.
    pub(super) grace: Duration,
    /// Mean rate while waiting, in bytes per second; never 0.
    pub(super) bytes_per_s_min: u64,
}

/// A body that ends in an error when it is too large or comes too slowly.
///
/// Only time spent waiting for the client counts; when we are slow to read, it is not its fault.
pub(super) struct MeteredBody {
    inner: Payload,
    limits: BodyLimits,
    received: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl MeteredBody {
    /// Meter `inner`.
    pub(super) fn new(inner: Payload, limits: BodyLimits) -> Self {
        Self { inner, limits, received: 0, waited: Duration::ZERO, waiting: None }
    }

    fn patience(&self) -> Duration {
        let rate = self.limits.bytes_per_s_min.max(1);
        let earned = Duration::from_millis(self.received.saturating_mul(1_000) / rate);
        (self.limits.grace + earned).saturating_sub(self.waited)
    }
}

fn too_slow() -> PayloadError {
    PayloadError::Io(io::Error::from(io::ErrorKind::TimedOut))
}

impl Stream for MeteredBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                if let Some((since, _)) = this.waiting.take() {
                    this.waited += since.elapsed();
                }
                this.received += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                if this.received > this.limits.bytes_max {
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => {
                let patience = this.patience();
                let (_, timer) =
                    this.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(patience))));
                match timer.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(too_slow()))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}
