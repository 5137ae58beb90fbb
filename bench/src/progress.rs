//! Reports progress on standard error.

use std::time::{Duration, Instant};

use crate::{contenders::Contender, sample::Sample};

pub struct Progress {
    begin: Instant,
    steps: u32,
    done: u32,
}

impl Progress {
    /// `steps`: samples of all servers, shapes and rounds together.
    pub fn new(steps: u32) -> Self {
        Self {
            begin: Instant::now(),
            steps,
            done: 0,
        }
    }

    pub fn say(&self, shape: &str, what: &str) {
        eprintln!("{shape:16} {what}");
    }

    /// A round of one server, or of several in turn, begins.
    pub fn round(&mut self, shape: &str, round: u32, servers: u32) {
        let left = match self.done {
            0 => "?".into(),
            done => show(self.begin.elapsed() * (self.steps - done) / done),
        };
        self.done += servers;
        eprint!(
            "{shape:16} round {round}  [{:3}/{}, {left} left]  ",
            self.done, self.steps
        );
    }

    /// The servers take turns, so their figures follow together at the end of the round.
    pub fn in_turn(&self) {
        eprintln!("in turn");
    }

    pub fn server(&self, contender: &Contender) {
        eprint!("{} {:34}", contender.group, contender.name());
    }

    pub fn took(&self, sample: Option<Sample>) {
        match sample {
            Some(sample) => eprintln!("{:9.2}", sample.figure),
            None => eprintln!("        -"),
        }
    }
}

pub fn failed(contender: &Contender, error: &str) {
    eprintln!(
        "\nERROR: {} ({}): {error}",
        contender.name(),
        contender.group
    );
}

fn show(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
