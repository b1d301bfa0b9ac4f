//! Which of two records counts: one pure function that every read and every write goes through.
//!
//! A higher epoch wins, because a login or logout is later than what it ended. Within an epoch the
//! higher generation wins where either side has a refresh token: the lower one may hold a token that
//! is spent. Where neither has one, an access token that serves beats one that has ended.
//!
//! An order that was given without having read the storage is provisional: it says nothing about
//! what was there. Such tokens lose only to tokens that serve and to a logout.

use crate::record::Order;

/// What one side puts forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) order: Order,
    pub(crate) holding: Holding,
    /// The order was given without having read the storage.
    pub(crate) is_provisional: bool,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// No tokens, and no logout: a note that the credentials were refused, or nothing at all.
    Nothing,
    /// A tombstone.
    Logout,
    /// A refresh token, whatever else.
    RefreshToken,
    /// An access token alone.
    AccessToken { serves: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    Ours,
    Theirs,
    /// Neither is newer.
    Same,
}

/// Which side counts.
pub(crate) fn winner(ours: Claim, theirs: Claim) -> Winner {
    use Holding::{AccessToken, Nothing};

    let is_one_epoch = ours.order.epoch() == theirs.order.epoch();
    match (ours.holding, theirs.holding) {
        (AccessToken { serves: true }, AccessToken { serves: false })
            if is_one_epoch || ours.is_provisional =>
        {
            Winner::Ours
        }
        (AccessToken { serves: true }, Nothing) if ours.is_provisional => Winner::Ours,
        (AccessToken { serves: false }, AccessToken { serves: true })
            if is_one_epoch || ours.is_provisional =>
        {
            Winner::Theirs
        }
        _ => by_order(ours.order, theirs.order),
    }
}

fn by_order(ours: Order, theirs: Order) -> Winner {
    match ours.cmp(&theirs) {
        std::cmp::Ordering::Less => Winner::Theirs,
        std::cmp::Ordering::Equal => Winner::Same,
        std::cmp::Ordering::Greater => Winner::Ours,
    }
}

#[cfg(test)]
mod tests {
    use super::Holding::{AccessToken, Logout, Nothing, RefreshToken};
    use super::Winner::{Ours, Same, Theirs};
    use super::*;

    const ALIVE: Holding = AccessToken { serves: true };
    const ENDED: Holding = AccessToken { serves: false };

    fn claim(epoch: u64, generation: u64, holding: Holding) -> Claim {
        Claim { order: Order::new(epoch, generation), holding, is_provisional: false }
    }

    #[test]
    fn a_later_login_or_logout_beats_everything_of_an_earlier_epoch() {
        for ours in [Nothing, Logout, RefreshToken, ALIVE, ENDED] {
            for theirs in [Nothing, Logout, RefreshToken, ALIVE, ENDED] {
                assert_eq!(winner(claim(1, 9, ours), claim(2, 0, theirs)), Theirs, "{ours:?}");
                assert_eq!(winner(claim(2, 0, ours), claim(1, 9, theirs)), Ours, "{ours:?}");
            }
        }
    }

    #[test]
    fn within_an_epoch_a_refresh_token_of_a_lower_generation_never_wins() {
        for other in [Nothing, Logout, RefreshToken, ALIVE, ENDED] {
            assert_eq!(winner(claim(1, 1, RefreshToken), claim(1, 2, other)), Theirs, "{other:?}");
            assert_eq!(winner(claim(1, 2, other), claim(1, 1, RefreshToken)), Ours, "{other:?}");
        }
    }

    #[test]
    fn within_an_epoch_an_access_token_that_serves_beats_one_that_has_ended() {
        assert_eq!(winner(claim(1, 1, ALIVE), claim(1, 9, ENDED)), Ours);
        assert_eq!(winner(claim(1, 9, ENDED), claim(1, 1, ALIVE)), Theirs);
        assert_eq!(winner(claim(1, 1, ALIVE), claim(1, 2, ALIVE)), Theirs);
        assert_eq!(winner(claim(1, 2, ENDED), claim(1, 2, ENDED)), Same);
        let last = claim(u64::MAX, u64::MAX, ENDED);
        assert_eq!(winner(claim(u64::MAX, u64::MAX, ALIVE), last), Ours);
    }

    #[test]
    fn a_provisional_order_loses_only_to_what_serves_and_to_a_logout() {
        let ours = Claim { is_provisional: true, ..claim(0, 1, ALIVE) };
        let table = [
            (Nothing, Ours),
            (ENDED, Ours),
            (ALIVE, Theirs),
            (RefreshToken, Theirs),
            (Logout, Theirs),
        ];
        for (theirs, expected) in table {
            assert_eq!(winner(ours, claim(7, 7, theirs)), expected, "{theirs:?}");
        }
    }
}
