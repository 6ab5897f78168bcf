//! The bodies of requests and answers, streamed as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::io::{AsyncReadExt, Take};
use tokio_util::io::ReaderStream;

use super::table::InFlight;

/// How much of a file is read at once.
const CHUNK: usize = 64 * 1024;

pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request to an upstream.
#[derive(Debug)]
pub(super) enum RequestBody {
    Empty,
    Stream(Incoming),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// The body of an upstream's answer. The request counts as under way, and its connection is not used again, until the body
/// ended or is dropped.
#[derive(Debug)]
pub(super) struct UpstreamBody {
    body: Incoming,
    under_way: Option<(InFlight, Option<SendRequest<RequestBody>>)>,
}

impl UpstreamBody {
    /// `sender` is the connection, when it may serve another request afterwards.
    pub(super) fn new(
        body: Incoming,
        in_flight: InFlight,
        sender: Option<SendRequest<RequestBody>>,
    ) -> Self {
        let mut body = Self {
            body,
            under_way: Some((in_flight, sender)),
        };
        if body.body.is_end_stream() {
            body.ended();
        }
        body
    }

    fn ended(&mut self) {
        if let Some((in_flight, Some(sender))) = self.under_way.take() {
            in_flight.backend().pool.put(sender);
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// Bytes that are there.
    Bytes(Full<Bytes>),
    /// What an upstream sends.
    Upstream(UpstreamBody),
    /// A part of a file.
    File(FileBody),
}

/// A part of a file, read as it is sent.
#[derive(Debug)]
pub(super) struct FileBody {
    stream: ReaderStream<Take<tokio::fs::File>>,
    left: u64,
    _in_flight: InFlight,
}

impl FileBody {
    pub(super) fn new(file: std::fs::File, length: u64, in_flight: InFlight) -> Self {
        let file = tokio::fs::File::from_std(file).take(length);
        Self {
            stream: ReaderStream::with_capacity(file, CHUNK),
            left: length,
            _in_flight: in_flight,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
            Some(Ok(bytes)) => {
                self.left = self
                    .left
                    .saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None if self.left > 0 => {
                self.left = 0;
                Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
            }
            None => Poll::Ready(None),
        }
    }
}

impl AnswerBody {
    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(Full::new(bytes.into()))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Bytes(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::File(body) => body.poll(cx).map_err(Into::into),
            Self::Upstream(upstream) => {
                let frame = ready!(Pin::new(&mut upstream.body).poll_frame(cx));
                match &frame {
                    None => upstream.ended(),
                    Some(Ok(_)) if upstream.body.is_end_stream() => upstream.ended(),
                    Some(Ok(_)) => {}
                    Some(Err(_)) => upstream.under_way = None,
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(body) => body.is_end_stream(),
            Self::Upstream(upstream) => upstream.body.is_end_stream(),
            Self::File(file) => file.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(body) => body.size_hint(),
            Self::Upstream(upstream) => upstream.body.size_hint(),
            Self::File(file) => SizeHint::with_exact(file.left),
        }
    }
}
