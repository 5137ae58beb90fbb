//! The schedule beside a model that is slow and plain.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use crate::{
    flow_control::{ReceiveWindow, SendWindow},
    priority::{LEVELS, Priority},
    schedule::Schedule,
    stream::{Asks, NONE, Sending, Stream, UNKNOWN_LENGTH},
    streams::Streams,
};

const STREAMS: u32 = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u32),
    Remove(u32),
    /// The stream whose turn it is sends a frame, and has more or not.
    Send(bool),
    /// Only while it is not scheduled.
    Prioritize(u32, Priority),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = 0..STREAMS;
    let priority = (0..3u8, any::<bool>()).prop_map(|(urgency, incremental)| Priority {
        // The ends and the default.
        urgency: [0, 3, 7][usize::from(urgency)],
        incremental,
    });
    let step = prop_oneof![
        3 => slot.clone().prop_map(Step::Add),
        1 => slot.clone().prop_map(Step::Remove),
        4 => any::<bool>().prop_map(Step::Send),
        1 => (slot, priority).prop_map(|(slot, priority)| Step::Prioritize(slot, priority)),
    ];
    vec(step, 0..200)
}

#[derive(Default)]
struct Model {
    levels: [Queues; LEVELS],
}

#[derive(Default)]
struct Queues {
    sequence: Vec<u32>,
    turns: VecDeque<u32>,
    turns_first: bool,
}

impl Model {
    fn has(&self, slot: u32) -> bool {
        let mut levels = self.levels.iter();
        levels.any(|it| it.sequence.contains(&slot) || it.turns.contains(&slot))
    }

    fn add(&mut self, slot: u32, priority: Priority) {
        if self.has(slot) {
            return;
        }
        let level = &mut self.levels[usize::from(priority.urgency)];
        if priority.incremental {
            level.turns.push_back(slot);
        } else {
            // The order of slots is that of identifiers here.
            level.sequence.push(slot);
            level.sequence.sort_unstable();
        }
    }

    fn remove(&mut self, slot: u32) {
        for level in &mut self.levels {
            level.sequence.retain(|it| *it != slot);
            level.turns.retain(|it| *it != slot);
        }
    }

    fn next(&self) -> Option<u32> {
        self.levels.iter().find_map(|level| {
            let (sequence, turns) = (level.sequence.first(), level.turns.front());
            match level.turns_first {
                true => turns.or(sequence),
                false => sequence.or(turns),
            }
            .copied()
        })
    }

    fn sent(&mut self, slot: u32, more: bool, priority: Priority) {
        let level = &mut self.levels[usize::from(priority.urgency)];
        level.turns_first = !priority.incremental;
        if !more || priority.incremental {
            self.remove(slot);
        }
        if more {
            self.add(slot, priority);
        }
    }
}

pub(crate) fn stream(number: u32) -> Stream {
    Stream {
        number,
        sending: Sending::Body,
        receives: false,
        scheduled: false,
        is_writable: false,
        asks: Asks::No,
        resets_when_sent: false,
        priority: Priority::default(),
        send_window: SendWindow::new(1),
        receive_window: ReceiveWindow::new(1),
        promised: UNKNOWN_LENGTH,
        data: Bytes::from_static(b"x"),
        trailers: None,
        next: NONE,
        previous: NONE,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_schedule_behaves_as_queues(steps in steps()) {
        let (mut schedule, mut streams) = (Schedule::default(), Streams::default());
        for i in 0..STREAMS {
            let id = streams.insert(stream(2 * i + 1));
            prop_assert_eq!(id.slot, i);
        }
        let mut model = Model::default();
        let mut priorities = [Priority::default(); STREAMS as usize];
        for step in steps {
            match step {
                Step::Add(slot) => {
                    schedule.add(slot, &mut streams);
                    model.add(slot, priorities[slot as usize]);
                }
                Step::Remove(slot) => {
                    schedule.remove(slot, &mut streams);
                    model.remove(slot);
                }
                Step::Send(more) => {
                    if let Some(slot) = schedule.next() {
                        schedule.sent(slot, more, &mut streams);
                        model.sent(slot, more, priorities[slot as usize]);
                    }
                }
                Step::Prioritize(slot, priority) => {
                    if !model.has(slot) && let Some(it) = streams.at(slot) {
                        it.priority = priority;
                        priorities[slot as usize] = priority;
                    }
                }
            }
            prop_assert_eq!(schedule.next(), model.next());
            for slot in 0..STREAMS {
                let scheduled = streams.at(slot).map(|it| it.scheduled);
                prop_assert_eq!(scheduled, Some(model.has(slot)));
            }
        }
        // Nothing is lost: all get out, in the order of the model.
        while let Some(slot) = schedule.next() {
            prop_assert_eq!(model.next(), Some(slot));
            schedule.sent(slot, false, &mut streams);
            model.sent(slot, false, priorities[slot as usize]);
        }
        prop_assert_eq!(model.next(), None);
    }
}
