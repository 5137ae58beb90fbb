//! Medians, quartiles and verdicts.

use serde::Serialize;

/// The distribution of a figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub rounds: usize,
    pub median: f64,
    pub lower_quartile: f64,
    pub upper_quartile: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// None if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            rounds: sorted.len(),
            median: quantile(&sorted, 0.5)?,
            lower_quartile: quantile(&sorted, 0.25)?,
            upper_quartile: quantile(&sorted, 0.75)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }

    /// The ratio of two figures, round by round: if the machine is slow in a round, it is slow for both.
    pub fn of_ratios(of: &[f64], to: &[f64]) -> Option<Self> {
        Self::of(of.iter().zip(to).map(|(of, to)| of / to))
    }

    pub fn against(&self, limit: f64) -> Verdict {
        // One or two rounds do not show how far rounds differ.
        if self.rounds < 3 {
            Verdict::Undecided
        } else if self.upper_quartile <= limit {
            Verdict::Met
        } else if self.lower_quartile > limit {
            Verdict::Missed
        } else {
            Verdict::Undecided
        }
    }
}

/// Whether a figure is within its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the limit in at least three quarters of the rounds.
    Met,
    /// Within the limit in less than a quarter of the rounds.
    Missed,
    /// The quartiles lie on both sides of the limit, or there are fewer than three rounds.
    Undecided,
}

/// A quantile of sorted values, interpolated between two of them.
pub fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = at * last as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated() {
        let odd = Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]).expect("five");
        assert_eq!(
            (odd.lower_quartile, odd.median, odd.upper_quartile),
            (2.0, 3.0, 4.0)
        );
        assert_eq!((odd.min, odd.max), (1.0, 5.0));
        let even = Spread::of([1.0, 2.0, 3.0, 4.0]).expect("four");
        assert_eq!(
            (even.lower_quartile, even.median, even.upper_quartile),
            (1.75, 2.5, 3.25)
        );
    }

    #[test]
    fn one_round_is_undecided_and_none_has_no_spread() {
        let one = Spread::of([7.0]).expect("one");
        assert_eq!((one.min, one.median, one.max), (7.0, 7.0, 7.0));
        assert_eq!(one.against(8.0), Verdict::Undecided);
        assert_eq!(Spread::of([]), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was half as fast in the second round, which leaves the ratio unchanged.
        let ratios = Spread::of_ratios(&[1.0, 2.0, 1.0], &[2.0, 4.0, 2.0]).expect("three");
        assert_eq!((ratios.min, ratios.max), (0.5, 0.5));
    }

    #[test]
    fn a_limit_between_the_quartiles_is_undecided() {
        let spread = Spread::of([0.8, 0.9, 1.0, 1.1, 1.2]).expect("five");
        assert_eq!(spread.against(1.1), Verdict::Met);
        assert_eq!(spread.against(1.0), Verdict::Undecided);
        assert_eq!(spread.against(0.9), Verdict::Undecided);
        assert_eq!(spread.against(0.89), Verdict::Missed);
    }
}
