//! How fast a cost grows.

/// The exponent of a power law through the points (n, cost): the slope of the line through their
/// logarithms, by least squares. It takes the upper half of the points, as for small n a constant part
/// hides the growth. None without two different n.
pub fn exponent(points: &[(u32, f64)]) -> Option<f64> {
    let upper = &points[points.len() / 2..];
    let logs: Vec<_> = upper
        .iter()
        .map(|&(n, cost)| (f64::from(n).ln(), cost.ln()))
        .collect();
    let count = logs.len() as f64;
    let mean_n = logs.iter().map(|it| it.0).sum::<f64>() / count;
    let mean_cost = logs.iter().map(|it| it.1).sum::<f64>() / count;
    let covariance: f64 = logs
        .iter()
        .map(|(n, cost)| (n - mean_n) * (cost - mean_cost))
        .sum();
    let variance: f64 = logs.iter().map(|(n, _)| (n - mean_n).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cost: impl Fn(f64) -> f64) -> f64 {
        let points = [0, 1, 10, 100, 1_000, 10_000].map(|n| (n, cost(f64::from(n))));
        exponent(&points).expect("six points")
    }

    #[test]
    fn powers_have_their_exponents() {
        for power in [0, 1, 2] {
            let found = of(|n| 5.0 * n.powi(power));
            assert!((found - f64::from(power)).abs() < 1e-9, "{found}");
        }
    }

    #[test]
    fn a_constant_part_hides_growth_below_its_own_size_only() {
        assert!(of(|n| 1_000_000.0 + n) < 0.01);
        assert!(of(|n| 100.0 + n) > 0.8);
    }

    #[test]
    fn one_point_has_no_exponent() {
        assert_eq!(exponent(&[(7, 1.0)]), None);
        assert_eq!(exponent(&[]), None);
    }
}
