//! The same bytes into the engine and into crate h2, as a server: where the outcome differs, a row says why.

#[path = "../../support/mod.rs"]
mod support;

mod crate_h2;
mod limits;
mod outcome;
mod request;
mod rows;

use corelane_http2::{Config, Connection};
use corelane_test_frames::PREFACE;

use self::{
    limits::{LIST, STREAM_WINDOW, STREAMS},
    outcome::{Observer, Outcome},
    support::Service,
};

/// Gives both the same bytes, which begin with the preface. If the outcomes differ, the row that says why.
///
/// # Errors
///
/// A difference without a row.
pub fn compare(bytes: &[u8]) -> Result<Option<&'static str>, String> {
    let frames = frames(bytes);
    let (ours, theirs) = (engine(&frames), crate_h2::outcomes(&frames));
    // What comes after a difference follows from it.
    let mut places = 0..frames.len();
    let Some(at) = places.find(|at| ours[*at] != theirs[*at]) else {
        return Ok(None);
    };
    let (frames, ours, theirs) = (&frames[..=at], &ours[at], &theirs[at]);
    let row = rows::explain(frames, ours, theirs);
    row.map(Some)
        .ok_or_else(|| format!("{:?}:\n{ours:?}\nby h2 {theirs:?}", frames[at]))
}

/// The outcome after each frame.
fn engine(frames: &[Vec<u8>]) -> Vec<Outcome> {
    let config = Config::default()
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_header_list_size(LIST);
    let mut service = Service::new(Connection::new(config));
    let mut observer = Observer::default();
    let after = frames.iter().map(|frame| {
        service.receive(frame);
        service.act();
        let is_closed = service.connection.is_ended();
        observer.after(&service.frames(), is_closed)
    });
    after.collect()
}

/// The frames one by one, so that it makes no difference which of two is handled first.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (preface, mut rest) = bytes.split_at(PREFACE.len());
    let mut frames = vec![preface.to_vec()];
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (frame, rest_of_all) = rest.split_at(9 + length.min(after.len()));
        frames.push(frame.to_vec());
        rest = rest_of_all;
    }
    frames.push(rest.to_vec());
    frames
}
