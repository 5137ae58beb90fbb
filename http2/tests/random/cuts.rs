//! However the input is cut, the events and the output are the same.

use corelane_http2::{Config, Connection};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{input::steps, support::Service};

fn server() -> Service {
    let config = Config::default()
        .max_concurrent_streams(4)
        .initial_stream_window_size(20_000)
        .max_header_list_size(8_000);
    Service::new(Connection::new(config))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cuts_make_no_difference(steps in steps(), cuts in vec(any::<Index>(), 1..30)) {
        let mut whole = server();
        let mut cut = server();
        let mut bytewise = server();
        for step in steps {
            whole.receive(&step);
            let mut places: Vec<_> = cuts.iter().map(|it| it.index(step.len() + 1)).collect();
            places.sort_unstable();
            places.push(step.len());
            let mut start = 0;
            for place in places {
                cut.receive(&step[start..place]);
                start = place;
            }
            step.chunks(1).for_each(|byte| bytewise.receive(byte));
            for server in [&mut whole, &mut cut, &mut bytewise] {
                server.act();
            }
            prop_assert_eq!(&whole.seen, &cut.seen);
            prop_assert_eq!(&whole.seen, &bytewise.seen);
            prop_assert_eq!(&whole.output, &cut.output);
            prop_assert_eq!(&whole.output, &bytewise.output);
            whole.seen.clear();
            cut.seen.clear();
            bytewise.seen.clear();
            prop_assert_eq!(whole.connection.stats(), cut.connection.stats());
            prop_assert_eq!(whole.connection.is_ended(), cut.connection.is_ended());
        }
    }
}
