//! The promises of the crate, a module for each.
//!
//! One test binary, because each one links the crate and its dependencies anew. What counts threads
//! or allocations, reads its own memory or needs all processors is a binary of its own beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod chained_providers;
mod change_notices;
mod forwarding;
mod m01_force_and_login;
mod m01_one_exchange;
mod m01_slow_service;
mod m02_cancellation;
mod m02_nobodys_exchange;
mod m02_panics;
mod m02_refresher;
mod m02_strangers_panics;
mod m03_rejections;
mod m03_short_lived_rejections;
mod m03_young_rejections;
mod m04_life_asked_for;
mod m04_nothing_valid_is_withheld;
mod m05_failing_storage;
mod m05_odd_storages;
mod m05_persist_then_publish;
mod m05_unreadable_records;
mod m06_odd_lifetimes;
mod m06_two_thresholds;
mod m07_doubtful_refresh;
mod m07_failures;
mod m07_login_required;
mod m07_pauses;
mod m07_shared_verdicts;
mod m07_verdicts;
mod m08_expired_is_not_served;
mod m08_two_clocks;
mod m09_clear_and_install;
mod m09_conflicts;
mod m09_install_if_absent;
mod m09_logout_stays;
mod m09_logouts_at_once;
mod m09_order;
mod m09_races;
mod m09_refresher_after_logout;
mod m09_revoke;
mod m09_who_wins;
mod m10_broken_notices;
mod m10_fleet;
mod m10_kept_lease;
mod m10_leases;
mod m10_lost_answers;
mod m10_notices;
mod m10_random_lives;
mod m10_storage_faults;
mod m10_waiting;
mod m11_secrets;
mod m11_whole_life;
mod m12_keys;
mod m13_dropped_errors;
mod m13_outside_every_lock;
mod map_eviction;
mod map_making;
mod map_random_lives;
mod map_use;
mod one_thread;
mod status_stream;
mod taking_tokens_out;
