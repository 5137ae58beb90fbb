//! A service of all four kinds of calls, and its client, as tonic's code generator would make them. A
//! message is its bytes: no code has to be generated.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BufMut};
use corelane::ConnectionInfo;
use futures_util::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use tonic::{
    Code, Extensions, Request, Response, Status, Streaming,
    body::Body,
    client,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::BoxFuture,
    metadata::MetadataMap,
    server::{
        self, ClientStreamingService, NamedService, ServerStreamingService, StreamingService,
        UnaryService,
    },
    transport::Channel,
};
use tower_service::Service;

#[derive(Clone, Copy, Default)]
pub struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buf.copy_to_bytes(buf.remaining()).to_vec();
        let text = String::from_utf8(bytes);
        text.map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// What the calls do: `One` echoes with its metadata, `Collect` joins, `Repeat` says a message three times,
/// `Chat` answers each message at once, `Slow` takes three seconds, `Who` tells the client's address, `Certificate`
/// the length of its certificate.
#[derive(Clone, Copy)]
pub struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

struct One;

impl UnaryService<String> for One {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let (metadata, _, message) = request.into_parts();
        if message == "fail" {
            let mut details = MetadataMap::new();
            details.insert("reason", "asked to".parse().expect("ASCII"));
            let status = Status::with_metadata(Code::FailedPrecondition, "it failed", details);
            return ready(Err(status));
        }
        let mut response = Response::new(message);
        if let Some(echo) = metadata.get("echo") {
            response.metadata_mut().insert("echo", echo.clone());
        }
        ready(Ok(response))
    }
}

struct Who;

impl UnaryService<String> for Who {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let addr = request.remote_addr().map(|addr| addr.ip().to_string());
        ready(Ok(Response::new(addr.unwrap_or_default())))
    }
}

struct Certificate;

impl UnaryService<String> for Certificate {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let connection = request.extensions().get::<Arc<ConnectionInfo>>();
        let chain = connection.map(|it| &it.negotiated.peer_certificates[..]);
        ready(match chain {
            Some([first, ..]) => Ok(Response::new(first.len().to_string())),
            Some([]) => Ok(Response::new("none".to_owned())),
            None => Err(Status::internal("no ConnectionInfo in the extensions")),
        })
    }
}

struct Slow;

impl UnaryService<String> for Slow {
    type Response = String;
    type Future = BoxFuture<Response<String>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(Response::new(request.into_inner()))
        })
    }
}

struct Collect;

impl ClientStreamingService<String> for Collect {
    type Response = String;
    type Future = BoxFuture<Response<String>, Status>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        Box::pin(async {
            let mut messages = request.into_inner();
            let mut all = Vec::new();
            while let Some(message) = messages.message().await? {
                all.push(message);
            }
            Ok(Response::new(all.join(" ")))
        })
    }
}

struct Repeat;

impl ServerStreamingService<String> for Repeat {
    type Response = String;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let message = request.into_inner();
        let messages = stream::iter((0..3).map(move |i| Ok(format!("{message} {i}"))));
        ready(Ok(Response::new(Box::pin(messages))))
    }
}

struct Chat;

impl StreamingService<String> for Chat {
    type Response = String;
    type ResponseStream = Messages;
    type Future = Ready<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let answers = request
            .into_inner()
            .map(|message| Ok(format!("{}!", message?)));
        ready(Ok(Response::new(Box::pin(answers))))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = server::Grpc::new(Text)
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip);
            Ok(match request.uri().path() {
                "/test.Echo/One" => grpc.unary(One, request).await,
                "/test.Echo/Who" => grpc.unary(Who, request).await,
                "/test.Echo/Certificate" => grpc.unary(Certificate, request).await,
                "/test.Echo/Slow" => grpc.unary(Slow, request).await,
                "/test.Echo/Collect" => grpc.client_streaming(Collect, request).await,
                "/test.Echo/Repeat" => grpc.server_streaming(Repeat, request).await,
                "/test.Echo/Chat" => grpc.streaming(Chat, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// The client of the service.
pub struct Client(client::Grpc<Channel>);

impl Client {
    pub fn new(channel: Channel) -> Self {
        Self(client::Grpc::new(channel))
    }

    pub fn compressed(channel: Channel) -> Self {
        Self(
            client::Grpc::new(channel)
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip),
        )
    }

    async fn ready(&mut self, method: &str) -> PathAndQuery {
        self.0.ready().await.expect("connected");
        let path = format!("/test.Echo/{method}");
        path.parse().expect("a path")
    }

    pub async fn unary(
        &mut self,
        method: &str,
        request: Request<String>,
    ) -> Result<Response<String>, Status> {
        let path = self.ready(method).await;
        self.0.unary(request, path, Text).await
    }

    pub async fn streaming(
        &mut self,
        method: &str,
        messages: impl Stream<Item = String> + Send + 'static,
    ) -> Result<Streaming<String>, Status> {
        let path = self.ready(method).await;
        let request = Request::from_parts(MetadataMap::new(), Extensions::new(), messages);
        let response = self.0.streaming(request, path, Text).await;
        response.map(Response::into_inner)
    }
}
