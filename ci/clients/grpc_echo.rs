//! A gRPC server for ci/ordinary.py, without a framework: five bytes precede each message, and a trailer
//! carries the status. `grpc_timeout` enforces the deadlines of clients.
//!
//! `cargo run --features native-tls,openssl --example grpc_echo -- rustls cert.pem key.pem`, or `openssl`
//! or `native-tls`, or `none` without the files. It stops at the end of its standard input and prints the counters.

use std::{convert::Infallible, io::Read, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use corelane::{
    Body, Error, Server,
    config::SHUTDOWN_DEADLINE,
    grpc_timeout, service_fn,
    tls::{
        Cleartext, Identity, NativeTlsAcceptor, OpensslAcceptor, RustlsAcceptor, TlsAcceptor,
        TlsConfig,
    },
};
use corelane_test_support::server::http2_engine;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};

/// Metadata that a response repeats, as in the interoperability tests of gRPC.
const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";
const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";

type ResponseBody = UnsyncBoxBody<Bytes, Error>;

async fn answer(request: Request<Body>) -> Result<Response<ResponseBody>, Infallible> {
    let method = request.uri().path().to_owned();
    let metadata = |name| request.headers().get(name).cloned();
    let (initial, trailing) = (metadata(ECHO_INITIAL), metadata(ECHO_TRAILING));
    let body = request.into_body();
    let (body, status) = match method.as_str() {
        // Returns messages unchanged, one or many, each as soon as it arrives.
        "/echo.Echo/Echo" => (body.boxed_unsync(), "0"),
        "/echo.Echo/Count" => match count(body).await {
            Ok(counted) => (full(message(counted.as_bytes())), "0"),
            Err(_) => (full(Bytes::new()), "1"),
        },
        "/echo.Echo/Repeat" => match body.collect().await {
            Ok(wanted) => (repeat(&wanted.to_bytes()), "0"),
            Err(_) => (full(Bytes::new()), "1"),
        },
        // Answers later than any client here waits.
        "/echo.Echo/Slow" => {
            monoio::time::sleep(Duration::from_secs(3)).await;
            (body.boxed_unsync(), "0")
        }
        // SERVING, in protobuf.
        "/grpc.health.v1.Health/Check" => (full(message(&[0x08, 1])), "0"),
        _ => (full(Bytes::new()), "12"),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.extend(trailing.map(|value| (HeaderName::from_static(ECHO_TRAILING), value)));
    let body = body.with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed_unsync());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    if let Some(value) = initial {
        response.headers_mut().insert(ECHO_INITIAL, value);
    }
    Ok(response)
}

/// One message, uncompressed.
fn message(payload: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(HEAD + payload.len());
    message.put_u8(0);
    message.put_u32(payload.len() as u32);
    message.put_slice(payload);
    message.freeze()
}

const HEAD: usize = 5;

fn full(bytes: Bytes) -> ResponseBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Counts the messages of a request, and their bytes.
async fn count(mut body: Body) -> Result<String, Error> {
    let (mut messages, mut bytes) = (0, 0);
    let mut head = Vec::with_capacity(HEAD);
    let mut left = 0;
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame?.into_data() else {
            continue;
        };
        while !data.is_empty() {
            let payload = data.split_to(left.min(data.len()));
            left -= payload.len();
            bytes += payload.len();
            let missing = if left > 0 { 0 } else { HEAD - head.len() };
            head.extend_from_slice(&data.split_to(missing.min(data.len())));
            if let [_compressed, a, b, c, d] = head[..] {
                left = u32::from_be_bytes([a, b, c, d]) as usize;
                messages += 1;
                head.clear();
            }
        }
    }
    Ok(format!("{messages} {bytes}"))
}

/// Sends as many messages as the request's message says.
fn repeat(wanted: &[u8]) -> ResponseBody {
    let wanted = wanted
        .get(HEAD..)
        .and_then(|text| std::str::from_utf8(text).ok());
    let wanted: u32 = wanted.and_then(|text| text.parse().ok()).unwrap_or(0);
    let messages = (0..wanted).map(|i| Ok(Frame::data(message(i.to_string().as_bytes()))));
    StreamBody::new(stream::iter(messages)).boxed_unsync()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let acceptor: Arc<dyn TlsAcceptor> = match args[..] {
        ["rustls", cert, key] => Arc::new(RustlsAcceptor::new(&config(cert, key)?)?),
        ["openssl", cert, key] => Arc::new(OpensslAcceptor::new(&config(cert, key)?)?),
        ["native-tls", cert, key] => Arc::new(NativeTlsAcceptor::new(&config(cert, key)?)?),
        ["none"] => Arc::new(Cleartext),
        _ => {
            return Err(
                "usage: grpc_echo rustls|openssl|native-tls CERTIFICATE KEY, or grpc_echo none"
                    .into(),
            );
        }
    };
    let handle = Server::builder(acceptor)
        .listen("127.0.0.1:0")
        .http2_engine(http2_engine())
        .bind()?
        .serve(|_worker| grpc_timeout(service_fn(answer)))?;
    println!("listening on {:?}", handle.local_addrs());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for worker in handle.workers() {
        println!("{:?}", worker.counters);
    }
    handle.shutdown(SHUTDOWN_DEADLINE);
    Ok(handle.wait()?)
}

fn config(cert: &str, key: &str) -> Result<TlsConfig, Error> {
    Ok(TlsConfig::new(Identity::from_pem_files(cert, key)?))
}
