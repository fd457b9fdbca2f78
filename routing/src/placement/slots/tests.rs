use proptest::prelude::*;

use super::*;

#[test]
fn the_cost_is_the_logarithm() {
    assert_eq!(cost(1 << 63 | 1), ONE);
    assert_eq!(cost(0), 64 * ONE);
    assert_eq!(cost(1), 64 * ONE);
    assert_eq!(cost(u64::MAX), 1);
    for draw in [3u64, 12345, 1 << 40, 0x9e37_79b9_7f4a_7c15, u64::MAX / 3] {
        let expected = 64.0 - (draw as f64).log2();
        assert!((cost(draw) as f64 / ONE as f64 - expected).abs() < 1e-9, "{draw}");
    }
}

proptest! {
    #[test]
    fn the_lower_bound_is_at_most_the_cost(draw: u64, shift in 0u32..64) {
        for draw in [draw, draw >> shift, !(draw >> shift)] {
            prop_assert!(cost_floor(draw) <= cost(draw), "{}", draw);
        }
    }

    #[test]
    fn the_cost_falls_as_the_draw_grows(draw in 1u64.., step in 0u64..1 << 40) {
        prop_assert!(cost(draw) >= cost(draw.saturating_add(step)));
    }
}
