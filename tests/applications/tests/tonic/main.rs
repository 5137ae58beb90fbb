//! Services of tonic, unmodified, on corelane: all kinds of calls, metadata, statuses, compression,
//! interceptors, deadlines, health and reflection.

mod certificates;
mod echo;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use certificates::service_sees_the_certificate_of_the_client;
use corelane::{grpc_timeout, with_extension};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    client::{Tls, rustls_config, send, server_name},
    for_each_backend,
};
use echo::{Client, Echo};
use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Runtime,
    sync::mpsc,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Status,
    service::{Routes, interceptor::InterceptedService},
    transport::{Channel, Endpoint, server::TcpConnectInfo},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tower::service_fn;

for_each_backend!(
    all_kinds_of_calls_work,
    metadata_and_statuses_arrive,
    messages_are_compressed,
    interceptor_refuses_calls,
    deadline_of_300_ms_ends_a_call_of_3_s,
    service_knows_the_client,
    service_sees_the_certificate_of_the_client,
    health_is_served,
    reflection_is_served,
);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Runs a test with a client of a server with each driver.
fn with_server(backend: Backend, test: impl AsyncFn(Target)) {
    for &driver in Drivers::all() {
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .expect("a description");
        let routes = Routes::new(InterceptedService::new(Echo, guard))
            .add_service(health_service)
            .add_service(reflection);
        let service = with_extension(grpc_timeout(routes), |connection| {
            Some(TcpConnectInfo {
                local_addr: connection.local_addr,
                remote_addr: connection.peer_addr,
            })
        });
        let options = |builder: corelane::Builder| builder.tokio(RUNTIME.handle().clone());
        let server = TestServer::with(backend.acceptor(), driver, options, move |_| {
            service.clone()
        });
        RUNTIME.block_on(async {
            health.set_serving::<Echo>().await;
            let limited = tokio::time::timeout(Duration::from_secs(60), async {
                let addr = server.addr;
                let channel = connect(backend, addr).await;
                test(Target { addr, channel }).await;
            });
            limited.await.expect("in time");
        });
    }
}

/// A server, and a connection to it.
struct Target {
    addr: SocketAddr,
    channel: Channel,
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

async fn connect(backend: Backend, addr: SocketAddr) -> Channel {
    let config = backend.tls.then(|| rustls_config(Tls::Any, &[b"h2"]));
    connect_by(config, addr).await
}

/// Without a configuration, without TLS.
async fn connect_by(config: Option<Arc<ClientConfig>>, addr: SocketAddr) -> Channel {
    let connector = service_fn(move |_| {
        let config = config.clone();
        async move {
            let tcp = TcpStream::connect(addr).await?;
            let socket: Box<dyn Socket> = match config {
                Some(config) => {
                    let connector = TlsConnector::from(config);
                    Box::new(connector.connect(server_name(), tcp).await?)
                }
                None => Box::new(tcp),
            };
            Ok::<_, std::io::Error>(TokioIo::new(socket))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await;
    channel.expect("connected")
}

fn text(message: &str) -> Request<String> {
    Request::new(message.to_owned())
}

fn all_kinds_of_calls_work(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let mut client = Client::new(channel);
        let one = client.unary("One", text("hello")).await.expect("answered");
        assert_eq!(one.into_inner(), "hello");

        let words = ["a", "b", "c"].map(str::to_owned);
        let joined = client.streaming("Collect", stream::iter(words)).await;
        let joined: Vec<_> = joined.expect("answered").collect().await;
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0].as_ref().expect("a message"), "a b c");

        let word = stream::iter(["again".to_owned()]);
        let repeated = client.streaming("Repeat", word).await;
        let repeated: Vec<_> = repeated.expect("answered").collect().await;
        assert_eq!(repeated.len(), 3);

        // Each message is sent after the answer to the one before.
        let (sender, messages) = mpsc::unbounded_channel();
        sender.send("0".to_owned()).expect("open");
        let chat = client.streaming("Chat", UnboundedReceiverStream::new(messages));
        let mut answers = chat.await.expect("answered");
        for i in 0..10 {
            let answer = answers.message().await.expect("a message");
            assert_eq!(answer.as_deref(), Some(&*format!("{i}!")));
            sender.send((i + 1).to_string()).expect("open");
        }
        drop(sender);
        assert_eq!(
            answers.message().await.expect("one more").as_deref(),
            Some("10!")
        );
        assert_eq!(answers.message().await.expect("the end"), None);
    });
}

fn metadata_and_statuses_arrive(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let mut client = Client::new(channel);
        let mut request = text("hello");
        request
            .metadata_mut()
            .insert("echo", "kept".parse().expect("ASCII"));
        let answer = client.unary("One", request).await.expect("answered");
        assert_eq!(answer.metadata().get("echo").expect("kept"), "kept");

        let failed = client
            .unary("One", text("fail"))
            .await
            .expect_err("it fails");
        assert_eq!(failed.code(), Code::FailedPrecondition);
        assert_eq!(failed.message(), "it failed");
        assert_eq!(failed.metadata().get("reason").expect("one"), "asked to");

        let unknown = client.unary("None", text("")).await.expect_err("unknown");
        assert_eq!(unknown.code(), Code::Unimplemented);
    });
}

fn messages_are_compressed(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let mut client = Client::compressed(channel);
        let long = "compress ".repeat(10_000);
        let answer = client.unary("One", text(&long)).await.expect("answered");
        assert_eq!(answer.metadata().get("grpc-encoding").expect("one"), "gzip");
        assert_eq!(answer.into_inner(), long);
    });
}

fn guard(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("token") {
        Some(token) if token == "wrong" => Err(Status::unauthenticated("a wrong token")),
        _ => Ok(request),
    }
}

fn interceptor_refuses_calls(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let mut client = Client::new(channel);
        let mut request = text("hello");
        request
            .metadata_mut()
            .insert("token", "wrong".parse().expect("ASCII"));
        let refused = client.unary("One", request).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unauthenticated);
    });
}

/// Not by tonic's client, which watches deadlines itself.
fn deadline_of_300_ms_ends_a_call_of_3_s(backend: Backend) {
    with_server(backend, async |Target { addr, .. }| {
        let request = http::Request::post("https://localhost/test.Echo/Slow")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "300m")
            .body(Bytes::from_static(&[0, 0, 0, 0, 0]));
        let begun = Instant::now();
        let client = H2Client::connect(backend, addr).await;
        let answer = client.run(|requests| async move {
            send(&requests, request.expect("a request"), None).await
        });
        let answer = answer.await.expect("answered");
        assert_eq!(answer.head.headers["grpc-status"], "4");
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_millis(300) && took < Duration::from_secs(3),
            "{took:?}"
        );
    });
}

fn service_knows_the_client(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let answer = Client::new(channel).unary("Who", text("")).await;
        assert_eq!(answer.expect("answered").into_inner(), "127.0.0.1");
    });
}

fn health_is_served(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let mut client = HealthClient::new(channel);
        let service = "test.Echo".to_owned();
        let request = HealthCheckRequest { service };
        let serving = client.check(request.clone()).await.expect("answered");
        assert_eq!(serving.into_inner().status, 1);
        let mut watched = client.watch(request).await.expect("answered").into_inner();
        let first = watched.message().await.expect("a message").expect("one");
        assert_eq!(first.status, 1);
        let service = "none".to_owned();
        let unknown = client.check(HealthCheckRequest { service }).await;
        assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);
    });
}

fn reflection_is_served(backend: Backend) {
    with_server(backend, async |Target { channel, .. }| {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel);
        let answers = client.server_reflection_info(stream::iter([request])).await;
        let mut answers = answers.expect("answered").into_inner();
        let answer = answers.message().await.expect("a message").expect("one");
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("{answer:?}");
        };
        let names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
        assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    });
}
