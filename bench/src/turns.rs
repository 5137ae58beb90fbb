//! Lets several loads take turns, in slices so short that a slow phase of the machine affects all of
//! them.

use std::time::Duration;

use crate::interrupt;

/// The average slice. Virtual machines change their speed within half a second. Each slice begins with
/// cold caches, which would dominate shorter slices.
const SLICE: Duration = Duration::from_millis(50);

/// The shortest slice.
const SHORTEST: Duration = Duration::from_millis(5);

/// A load that runs only in its turns.
pub trait TakesTurns {
    /// Whether the load has not ended.
    fn goes_on(&self) -> bool;

    /// How long the load will run, in its own turns.
    fn expected(&self) -> Duration;

    /// Runs for `slice` at most, then stops. A failure ends the load. Every load must end at some time, or
    /// [`go_around`] never returns.
    fn turn(&mut self, slice: Duration);
}

/// Gives the loads turns until all have ended.
///
/// # Errors
///
/// Only if a signal stops the run.
pub fn go_around(loads: &mut [&mut impl TakesTurns]) -> anyhow::Result<()> {
    let expected: Vec<_> = loads.iter().map(|load| load.expected()).collect();
    let slices = slices(&expected);
    while loads.iter().any(|load| load.goes_on()) {
        for (load, slice) in loads.iter_mut().zip(&slices) {
            if load.goes_on() {
                interrupt::check()?;
                load.turn(*slice);
            }
        }
    }
    Ok(())
}

/// Slices in proportion to the expected times, so that all loads end at about the same time: a load that
/// runs alone at the end would see another speed of the machine.
fn slices(expected: &[Duration]) -> Vec<Duration> {
    let average = expected.iter().sum::<Duration>().as_secs_f64() / expected.len() as f64;
    let slice = |expected: &Duration| match average {
        0.0 => SLICE,
        _ => SLICE
            .mul_f64(expected.as_secs_f64() / average)
            .max(SHORTEST),
    };
    expected.iter().map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes no time, but counts it.
    struct Fake {
        expected: Duration,
        left: Duration,
        turns: u32,
        fails_in_turn: Option<u32>,
    }

    impl TakesTurns for Fake {
        fn goes_on(&self) -> bool {
            !self.left.is_zero() && self.fails_in_turn != Some(self.turns)
        }

        fn expected(&self) -> Duration {
            self.expected
        }

        fn turn(&mut self, slice: Duration) {
            assert!(self.goes_on());
            self.turns += 1;
            self.left = self.left.saturating_sub(slice);
        }
    }

    fn fake(expected: u64, needed: u64) -> Fake {
        Fake {
            expected: Duration::from_millis(expected),
            left: Duration::from_millis(needed),
            turns: 0,
            fails_in_turn: None,
        }
    }

    #[test]
    fn slices_are_in_proportion_to_expected_times() {
        let expected = [100, 200, 300].map(Duration::from_millis);
        let wanted = [25, 50, 75].map(Duration::from_millis);
        assert_eq!(slices(&expected), wanted);
    }

    #[test]
    fn load_with_unknown_time_gets_a_slice() {
        assert_eq!(slices(&[Duration::ZERO; 2]), [SLICE; 2]);
        let expected = [Duration::ZERO, Duration::from_secs(1)];
        assert_eq!(slices(&expected), [SHORTEST, SLICE * 2]);
        assert!(slices(&[]).is_empty());
    }

    #[test]
    fn loads_with_expected_times_end_together() {
        let (mut quick, mut slow) = (fake(1_000, 500), fake(3_000, 1_500));
        go_around(&mut [&mut quick, &mut slow]).expect("no signal");
        assert_eq!((quick.turns, slow.turns), (20, 20));
    }

    #[test]
    fn load_longer_than_expected_ends_last() {
        let (mut one, mut other) = (fake(1, 100), fake(1, 500));
        go_around(&mut [&mut one, &mut other]).expect("no signal");
        assert_eq!((one.turns, other.turns), (2, 10));
    }

    #[test]
    fn failed_load_does_not_stop_the_others() {
        let (mut one, mut failing, mut other) = (fake(1, 200), fake(1, 200), fake(1, 200));
        failing.fails_in_turn = Some(2);
        go_around(&mut [&mut one, &mut failing, &mut other]).expect("no signal");
        assert_eq!((one.turns, failing.turns, other.turns), (4, 2, 4));
    }
}
