//! When a certificate is renewed: in the last third of its life. Pure; controller and agents share it.

use syncferry_shared::Millis;

/// The instant from which a certificate with this validity should be renewed.
pub fn renew_at(not_before: Millis, not_after: Millis) -> Millis {
    not_after.plus(-(not_after.since(not_before).max(0) / 3))
}

/// Whether it is time to renew. Also true after the end: the renewal then fails, and says why.
pub fn is_due(not_before: Millis, not_after: Millis, now: Millis) -> bool {
    now >= renew_at(not_before, not_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_third_of_its_life() {
        let (start, end) = (Millis(1_000), Millis(4_000));
        assert_eq!(renew_at(start, end), Millis(3_000));
        assert!(!is_due(start, end, Millis(2_999)));
        assert!(is_due(start, end, Millis(3_000)));
        assert!(is_due(start, end, Millis(9_000)));
    }
}
