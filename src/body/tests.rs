use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::{Wake, Waker},
    time::Instant,
};

use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;

use super::*;
use crate::{config::Limits, time::Timer};

const NEVER: Timer = Timer {
    sleep: |_| Box::pin(std::future::pending()),
    now: Instant::now,
};

/// Counts how often a task is woken.
#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The body and the monitor of a request with these headers and this data.
fn receive(
    headers: &[(HeaderName, &'static str)],
    text: &'static str,
    max_size: Option<u64>,
) -> (Body, Box<BodyMonitor>) {
    let source = Source::Bytes(Bytes::from_static(text.as_bytes()));
    receive_from(source, headers, max_size)
}

fn receive_from(
    source: Source,
    headers: &[(HeaderName, &'static str)],
    max_size: Option<u64>,
) -> (Body, Box<BodyMonitor>) {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let limits = BodyLimits::new(max_size, &Limits::default(), NEVER);
    let (body, monitor) = Body::receive(source, &headers, &limits, &Arc::default());
    (body, monitor.expect("there is data"))
}

fn poll(body: &mut Body) -> Option<Result<Bytes, Error>> {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(body).poll_frame(&mut cx) {
        Poll::Ready(frame) => {
            frame.map(|result| result.map(|frame| frame.into_data().expect("data")))
        }
        Poll::Pending => panic!("the bytes are there"),
    }
}

#[test]
fn a_body_of_bytes_yields_them_once() {
    for mut body in [
        Body::from("text"),
        Body::from(String::from("text")),
        Body::from(b"text".to_vec()),
        Body::from(Bytes::from_static(b"text")),
    ] {
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        let data = poll(&mut body).expect("data");
        assert_eq!(data.expect("no error"), "text");
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(poll(&mut body).is_none());
        assert_eq!(body.rejection().status(), None);
    }
}

#[test]
fn an_empty_body_has_ended() {
    for mut body in [Body::empty(), Body::default(), Body::from("")] {
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(poll(&mut body).is_none());
    }
}

#[test]
fn a_test_names_the_connection() {
    let connection = ConnectionInfo {
        worker: 7,
        ..ConnectionInfo::default()
    };
    let body = Body::empty().with_connection(connection);
    assert_eq!(body.connection().worker, 7);
    let peer = body.connection().peer_addr.expect("as of TCP");
    assert!(peer.ip().is_loopback());
}

#[test]
fn continue_is_wanted_once_and_when_the_body_is_polled() {
    let task = Arc::<Count>::default();
    let waker = Waker::from(Arc::clone(&task));
    let mut cx = Context::from_waker(&waker);
    let (mut body, mut monitor) = receive(&[(EXPECT, "100-Continue")], "text", None);
    assert!(monitor.poll_event(&mut cx).is_pending());
    assert!(poll(&mut body).is_some());
    assert_eq!(task.0.load(Relaxed), 1);
    let event = monitor.poll_event(&mut cx);
    assert_eq!(event, Poll::Ready(BodyEvent::WantsContinue));
    assert!(poll(&mut body).is_none());
    assert!(monitor.poll_event(&mut cx).is_pending());
}

#[test]
fn the_limit_holds_for_declared_and_for_received_bytes() {
    let (_body, monitor) = receive(&[(CONTENT_LENGTH, "5")], "large", Some(4));
    assert!(monitor.is_too_large());
    let (mut body, monitor) = receive(&[], "large", Some(4));
    assert!(!monitor.is_too_large());
    let error = poll(&mut body).expect("a frame").expect_err("too large");
    assert!(error.is_body_too_large(), "{error}");
    assert!(monitor.is_too_large());
    let (mut body, monitor) = receive(&[(CONTENT_LENGTH, "4")], "four", Some(4));
    assert!(poll(&mut body).expect("a frame").is_ok());
    assert!(!monitor.is_too_large());
}

#[test]
fn the_monitor_drains_a_dropped_body() {
    let task = Arc::<Count>::default();
    let waker = Waker::from(Arc::clone(&task));
    let mut cx = Context::from_waker(&waker);
    let (body, mut monitor) = receive(&[], "text", None);
    assert!(monitor.poll_drained(&mut cx).is_pending());
    drop(body);
    assert_eq!(task.0.load(Relaxed), 1);
    assert!(monitor.poll_drained(&mut cx).is_ready());
    assert!(monitor.poll_drained(&mut cx).is_ready());
}

/// As on another thread: the connection takes the last data and the end of its input while the
/// handler polls.
#[test]
fn data_before_the_end_of_the_input_is_not_lost() {
    let source = Source::Late(Bytes::from_static(b"last"));
    let (mut body, monitor) = receive_from(source, &[], None);
    monitor.end_input();
    let data = poll(&mut body).expect("data");
    assert_eq!(data.expect("no error"), "last");
    assert!(poll(&mut body).is_none());
    assert!(!monitor.is_cut_off());
}

#[test]
fn a_rejection_outlives_body_and_monitor() {
    let (body, monitor) = receive(&[], "text", None);
    let rejection = body.rejection();
    assert_eq!(rejection.status(), None);
    monitor.reject(StatusCode::REQUEST_TIMEOUT);
    drop((monitor, body));
    assert_eq!(rejection.status(), Some(StatusCode::REQUEST_TIMEOUT));
}
