use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::{
    throttle::{Throttle, ThrottleState},
    token_bucket::PERIOD,
};
use crate::config::Http2Config;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn now() -> Instant {
    NOW.get().unwrap_or_else(Instant::now)
}

fn later(time: Duration) {
    NOW.set(Some(now() + time));
}

fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
    let head = [0, 0, length, kind, flags, 0, 0, 0, 1];
    [&head[..], &vec![0xff; length.into()]].concat()
}

fn frames(kind: u8, length: u8, count: usize) -> Vec<u8> {
    frame(kind, 0, length).repeat(count)
}

/// A throttle after the preface and the SETTINGS of any peer. Its clock stands still.
fn throttle(most: u32) -> Throttle {
    let config = Http2Config {
        max_extra_frames: most,
        ..Http2Config::default()
    };
    NOW.set(Some(Instant::now()));
    let mut throttle = Throttle::new(&config);
    assert!(passes(&mut throttle, PREFACE));
    assert!(passes(&mut throttle, &frames(SETTINGS, 0, 2)));
    assert_eq!(throttle.update(2, now), ThrottleState::Open);
    throttle
}

fn passes(throttle: &mut Throttle, bytes: &[u8]) -> bool {
    let passed = throttle.pass(bytes);
    throttle.hold(&bytes[passed..]);
    passed == bytes.len() && !throttle.is_stopped()
}

fn wait(throttle: &mut Throttle) -> Duration {
    match throttle.update(0, now) {
        ThrottleState::Closed(wait) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_that_requests_allow_for_never_wait() {
    let mut throttle = throttle(10_000);
    for _ in 0..1_000 {
        assert!(passes(&mut throttle, &frames(PING, 8, 8)));
        assert_eq!(throttle.update(8, now), ThrottleState::Open);
    }
}

#[test]
fn frames_after_a_burst_wait() {
    let mut throttle = throttle(10_000);
    assert!(passes(&mut throttle, &frames(PING, 8, 1_000)));
    let rest = frames(PING, 8, 300);
    assert!(!passes(&mut throttle, &rest));
    let mut given = rest.len() - throttle.held().len();
    assert_eq!(
        given, 9,
        "only the head of the frame that is one too many passes"
    );
    // 1,000 frames a second: the time for a tenth of the burst, and for one frame too many.
    let tenth = wait(&mut throttle);
    assert_eq!(tenth, Duration::from_millis(101));
    assert_eq!(wait(&mut throttle), tenth);
    later(tenth);
    assert_eq!(throttle.update(0, now), ThrottleState::Reopened);
    assert!(!throttle.is_stopped());
    throttle.take_held(usize::MAX, |bytes| {
        assert_eq!(bytes, &rest[given..given + bytes.len()]);
        given += bytes.len();
    });
    assert!(throttle.is_stopped());
    assert!((100 * 17..200 * 17).contains(&given), "{given}");
    assert_eq!(throttle.held(), &rest[given..]);
}

#[test]
fn held_bytes_fill_the_room_of_the_reader() {
    let mut throttle = throttle(10_000);
    let all = frames(PING, 8, 1_010);
    assert!(!passes(&mut throttle, &all));
    later(Duration::from_secs(1));
    assert_eq!(throttle.update(0, now), ThrottleState::Reopened);
    let mut given = all.len() - throttle.held().len();
    while throttle.has_held() {
        throttle.take_held(7, |bytes| {
            assert!((1..=7).contains(&bytes.len()));
            assert_eq!(bytes, &all[given..given + bytes.len()]);
            given += bytes.len();
        });
    }
    assert_eq!(given, all.len());
    assert!(!throttle.is_stopped());
}

#[test]
fn credits_reopen_at_once() {
    let mut throttle = throttle(10_000);
    assert!(!passes(&mut throttle, &frames(PING, 8, 1_500)));
    wait(&mut throttle);
    assert_eq!(throttle.update(8, now), ThrottleState::Reopened);
}

#[test]
fn unused_credits_expire() {
    let mut throttle = throttle(10_000);
    assert_eq!(throttle.update(u32::MAX, now), ThrottleState::Open);
    later(1_000 * PERIOD);
    assert!(!passes(&mut throttle, &frames(PING, 0, 1_001)));
    // The peer was quiet for a long time before.
    assert_eq!(throttle.update(0, now), ThrottleState::Reopened);
    assert!(passes(&mut throttle, &frames(PING, 0, 1_000)));
    assert!(!passes(&mut throttle, &frames(PING, 0, 1)));
    wait(&mut throttle);
}

/// Sends as fast as it is allowed to, until that is a flood.
fn flood_time(most: u32, frame: &[u8]) -> (Duration, u32) {
    let mut throttle = throttle(most);
    let begun = now();
    let mut passed = 0;
    loop {
        while !throttle.is_stopped() {
            let n = throttle.pass(frame);
            throttle.pass(&frame[n..]);
            passed += 1;
        }
        match throttle.update(0, now) {
            ThrottleState::Closed(wait) => later(wait),
            ThrottleState::Reopened | ThrottleState::HandlersFirst => {}
            ThrottleState::Flood => return (now() - begun, passed),
            ThrottleState::Open => panic!("it was stopped"),
        }
        assert!(now() - begun < 3 * PERIOD, "no flood is detected");
    }
}

#[test]
fn a_flood_for_a_period_is_detected() {
    for (kind, length, weight) in [(PING, 8, 1), (SETTINGS, 6, 100), (DATA, 0, 100)] {
        let (time, passed) = flood_time(10_000, &frame(kind, 0, length));
        assert!((PERIOD * 8 / 10..=PERIOD).contains(&time), "{time:?}");
        assert!((9_900..=10_300).contains(&(passed * weight)), "{passed}");
    }
}

#[test]
fn a_limit_within_a_burst_never_delays() {
    let (time, passed) = flood_time(100, &frame(PING, 0, 8));
    assert_eq!((time, passed), (Duration::ZERO, 101));
}

#[test]
fn a_drip_is_no_flood() {
    let mut throttle = throttle(10_000);
    for _ in 0..50_000 {
        later(Duration::from_micros(1_050));
        if !passes(&mut throttle, &frame(PING, 0, 8)) {
            assert_eq!(throttle.update(0, now), ThrottleState::Reopened);
        }
        throttle.take_held(usize::MAX, |_| {});
    }
}

#[test]
fn short_data_waits_and_is_no_flood() {
    let mut throttle = throttle(2_000);
    let mut waited = Duration::ZERO;
    for _ in 0..10_000 {
        if !passes(&mut throttle, &frame(DATA, 0, 1)) {
            while let ThrottleState::Closed(wait) = throttle.update(0, now) {
                waited += wait;
                later(wait);
            }
            throttle.take_held(usize::MAX, |_| {});
        }
    }
    assert!((PERIOD * 4..PERIOD * 5).contains(&waited), "{waited:?}");
}

#[test]
fn messages_never_wait() {
    let mut throttle = throttle(10_000);
    for _ in 0..10_000 {
        // An empty message of gRPC; one of a byte whose head is a separate frame; a last piece.
        assert!(passes(&mut throttle, &frame(DATA, 0, 5)));
        assert!(passes(&mut throttle, &frame(DATA, 0, 1)));
        assert!(passes(&mut throttle, &frame(DATA, 1, 0)));
        // The last frame is within the allowance of the request.
        assert_eq!(throttle.update(1, now), ThrottleState::Open);
    }
}

#[test]
fn ends_without_requests_wait() {
    let mut throttle = throttle(10_000);
    for _ in 0..10 {
        assert!(passes(&mut throttle, &frame(DATA, 1, 0).repeat(100)));
        assert_eq!(throttle.update(0, now), ThrottleState::Open);
    }
    assert!(!passes(&mut throttle, &frame(DATA, 1, 9)));
    assert!(wait(&mut throttle) > Duration::ZERO);
}

#[test]
fn handlers_run_between_small_messages() {
    let mut throttle = throttle(10_000);
    assert!(passes(&mut throttle, &frames(DATA, 255, 499)));
    assert_eq!(throttle.update(0, now), ThrottleState::Open);
    assert!(!passes(&mut throttle, &frames(DATA, 255, 600)));
    assert_eq!(throttle.held().len(), 100 * (9 + 255) + 255);
    assert_eq!(throttle.update(0, now), ThrottleState::HandlersFirst);
    assert!(!throttle.is_stopped());
    throttle.take_held(usize::MAX, |_| {});
    assert_eq!(throttle.update(0, now), ThrottleState::Open);
}
