//! What documented outputs presuppose, and how a place comes to it.

use super::{
    blocks::{Block, commands, documents},
    place::Place,
};

struct State {
    /// Part of a line of the output.
    output: &'static str,
    reach: fn(&Place),
}

const STATES: &[State] = &[
    State {
        output: "ended (exit status: 1)",
        reach: Place::break_program,
    },
    State {
        output: "--listen needs a restart",
        reach: Place::change_addresses,
    },
    State {
        output: "unknown key \"idle-timout\"",
        reach: Place::misspell_key,
    },
];

/// Prepares the place for a command with this output.
pub(crate) fn reach(output: &[String], place: &Place) {
    for state in STATES {
        if output.iter().any(|line| line.contains(state.output)) {
            (state.reach)(place);
        }
    }
}

#[test]
fn every_state_is_presupposed_by_an_output() {
    let documents = documents();
    let blocks = documents.iter().flat_map(|document| document.blocks());
    let console = blocks.filter(|block| block.language == "console");
    let outputs: Vec<String> = console
        .flat_map(|block: Block| commands(&block))
        .flat_map(|command| command.output)
        .collect();
    for State { output, .. } in STATES {
        let found = outputs.iter().any(|line| line.contains(output));
        assert!(found, "no document shows {output:?}");
    }
}
