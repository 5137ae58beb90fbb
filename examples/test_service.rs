//! A service and its tests, which need no socket: `cargo test --example test_service`. The tests call
//! the service as the server does; `cargo run --example test_service` serves it on port 8443 without
//! TLS: `curl --http2-prior-knowledge -d hello http://localhost:8443/upper`

use corelane::{Body, Error, Server, service_fn, tls::Cleartext};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;

/// Answers with the request's body in upper case.
async fn upper(request: Request<Body>) -> Result<Response<String>, Error> {
    if request.uri().path() != "/upper" {
        let mut response = Response::new("not found\n".into());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let body = request.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body).to_uppercase();
    Ok(Response::new(text))
}

fn main() -> Result<(), Error> {
    let handle = Server::builder(Cleartext)
        .listen("127.0.0.1:8443")
        .bind()?
        .serve(|_worker| service_fn(upper))?;
    handle.wait()
}

#[cfg(test)]
mod tests {
    use corelane::ConnectionInfo;
    use tower_service::Service;

    use super::*;

    /// Any executor will do: the service uses no timers and no sockets.
    fn call(path: &str, body: Body) -> Response<String> {
        let request = Request::post(path).body(body).expect("a request");
        let response = service_fn(upper).call(request);
        block_on(response).expect("a response")
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn text_is_returned_in_upper_case() {
        assert_eq!(call("/upper", Body::from("hello")).body(), "HELLO");
        assert_eq!(call("/upper", Body::empty()).body(), "");
    }

    #[test]
    fn unknown_path_is_not_found() {
        let response = call("/lower", Body::empty());
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn connection_can_be_chosen() {
        let mut connection = ConnectionInfo::default();
        connection.worker = 3;
        let body = Body::empty().with_connection(connection);
        assert_eq!(body.connection().worker, 3);
    }
}
