//! An application on axum as people write it: extractors, streams, server-sent events, middleware, files,
//! and the layers of tower-http.

use std::{convert::Infallible, net::SocketAddr, path::Path, time::Duration};

use axum::{
    Form, Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, Multipart, Query, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    decompression::RequestDecompressionLayer,
    limit::RequestBodyLimitLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    services::ServeDir,
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
    validate_request::ValidateRequestHeaderLayer,
};

#[derive(Clone)]
struct Greeting(&'static str);

#[derive(Deserialize, Serialize)]
struct Person {
    name: String,
    age: u8,
}

async fn greet(State(Greeting(greeting)): State<Greeting>) -> &'static str {
    greeting
}

async fn who(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.ip().to_string()
}

async fn query(Query(person): Query<Person>) -> Json<Person> {
    Json(person)
}

async fn form(Form(person): Form<Person>) -> String {
    format!("{} is {}", person.name, person.age)
}

async fn json(Json(person): Json<Person>) -> Json<Person> {
    Json(person)
}

async fn multipart(mut parts: Multipart) -> Result<String, Response> {
    let mut seen = String::new();
    loop {
        let part = parts.next_field().await;
        let Some(part) = part.map_err(IntoResponse::into_response)? else {
            return Ok(seen);
        };
        let name = part.name().unwrap_or_default().to_owned();
        let data = part.bytes().await.map_err(IntoResponse::into_response)?;
        seen += &format!("{name}: {} bytes\n", data.len());
    }
}

/// Two events, each after a pause that is much longer than the keep-alive.
async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::iter(["one", "two"]).then(async |name| {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok(Event::default().event(name).data("some data"))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(10));
    Sse::new(events).keep_alive(keep_alive.text("still here"))
}

async fn download() -> Body {
    let pieces =
        stream::iter((0..64_u8).map(|i| Ok::<_, Infallible>(Bytes::from(vec![i; 16_384]))));
    Body::from_stream(pieces.then(async |piece| {
        tokio::task::yield_now().await;
        piece
    }))
}

async fn upload(body: Body) -> Result<String, StatusCode> {
    let mut pieces = body.into_data_stream();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        length += piece.map_err(|_| StatusCode::BAD_REQUEST)?.len();
    }
    Ok(length.to_string())
}

async fn echo(body: Body) -> Body {
    body
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(60)).await;
    "too late"
}

async fn spawned() -> Result<String, StatusCode> {
    let task = tokio::spawn(async { tokio::task::spawn_blocking(|| "from a thread").await });
    let text = task.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(text
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .to_owned())
}

async fn panics() {
    panic!("the handler's panic");
}

async fn marks(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let marked = HeaderValue::from_static("yes");
    response.headers_mut().insert("x-marked", marked);
    response
}

#[derive(Clone, Copy)]
struct SameId;

impl MakeRequestId for SameId {
    fn make_request_id<B>(&mut self, _request: &axum::http::Request<B>) -> Option<RequestId> {
        Some(RequestId::new(HeaderValue::from_static("made")))
    }
}

/// The application. It serves the files of this folder below `/files`.
pub fn application(files: &Path) -> Router {
    let id = HeaderName::from_static("x-request-id");
    let limited = Router::new()
        .route("/limited", post(upload))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(1000));
    #[expect(deprecated, reason = "the shortest layer that needs a password")]
    let auth = ValidateRequestHeaderLayer::basic("user", "password");
    let private = Router::new().route("/private", get(greet)).layer(auth);
    Router::new()
        .route("/", get(greet))
        .route("/who", get(who))
        .route("/query", get(query))
        .route("/form", post(form))
        .route("/json", post(json))
        .route("/multipart", post(multipart))
        .route("/events", get(events))
        .route("/download", get(download))
        .route("/upload", post(upload))
        .route("/echo", post(echo))
        .route("/slow", get(slow))
        .route("/spawned", get(spawned))
        .route("/panics", get(panics))
        .merge(limited)
        .merge(private)
        .nest_service("/files", ServeDir::new(files).precompressed_gzip())
        .layer(middleware::from_fn(marks))
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            Duration::from_millis(300),
        ))
        .layer(RequestDecompressionLayer::new())
        .layer(CompressionLayer::new())
        .layer(CorsLayer::permissive())
        .layer(SetResponseHeaderLayer::overriding(
            header::SERVER,
            HeaderValue::from_static("application"),
        ))
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(SetRequestIdLayer::new(id, SameId))
        .layer(TraceLayer::new_for_http())
        .with_state(Greeting("hello"))
}
