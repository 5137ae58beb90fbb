use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use crate::fuzzing::{Answer, Step, http1, http1_in_pieces, pieces};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn sent(bytes: impl AsRef<[u8]>) -> Step {
    Step::Sends(bytes.as_ref().to_vec())
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// What messages are made of, right and wrong.
const PARTS: [&str; 24] = [
    GET,
    "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
    "DELETE / HTTP/1.1\r\nhost: a\r\n",
    "POST / HTTP/1.1\r\nhost: a\r\n",
    "PUT /a HTTP/1.1\r\nhost: a\r\n",
    "GET / HTTP/1.0\r\nconnection: keep-alive\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: a\r\n",
    "host: b\r\n",
    "te: trailers\r\n",
    "expect: 100-continue\r\n",
    "connection: close\r\n",
    "content-length: 5\r\n\r\nhello",
    "content-length: 3000\r\n",
    "content-length: 3\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding: gzip\r\n",
    "5\r\nhello\r\n",
    "5;a=b\r\nhello\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "x: y\r\n",
    " folded\r\n",
    "\r\n",
    "\n",
];

fn messages() -> impl Strategy<Value = String> {
    let parts = proptest::sample::select(PARTS.to_vec());
    vec(parts, 1..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn answers_do_not_depend_on_pieces(bytes in messages(), sizes in vec(1..40usize, 0..6)) {
        http1_in_pieces(bytes.as_bytes(), &sizes);
    }

    #[test]
    fn any_order_of_events_leaves_one_answer_to_each_request(
        bytes in messages(),
        sizes in vec(1..40usize, 1..6),
        events in vec((0..4usize, 0..3000usize), 0..10),
    ) {
        let mut steps: Vec<_> = pieces(bytes.as_bytes(), &sizes).into_iter().map(sent).collect();
        for (i, (kind, n)) in events.into_iter().enumerate() {
            let step = match kind {
                0 => Step::Takes(n),
                1 => Step::Takes(usize::MAX),
                2 => Step::Advance(Duration::from_millis(n as u64 * 10)),
                _ => Step::Shutdown,
            };
            steps.insert((2 * i).min(steps.len()), step);
        }
        http1(&steps);
    }
}

#[test]
fn each_request_is_answered_once() {
    let answers = http1(&[sent(GET.repeat(3))]);
    assert_eq!(statuses(&answers), [200, 200, 200]);
    let lengths: Vec<_> = answers.iter().map(|answer| answer.body.len()).collect();
    assert_eq!(lengths, [100_000, 1_000, 1_000]);
    assert_eq!(statuses(&http1(&[sent("GET / HTTP/1.1\r\n\r\n")])), [400]);
}
