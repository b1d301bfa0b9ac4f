//! Which rules each defect breaks, and no others.

use super::Defect;

pub(crate) type Findings = &'static [(Defect, &'static [&'static str])];

pub(crate) const RECORDS: Findings = &[
    (Defect::None, &[]),
    (Defect::InventsUnknown, &["a_missing_key_has_no_record"]),
    (Defect::SignsOrders, &["the_greatest_orders_are_kept"]),
    (Defect::NeverForgetsDeletes, &["delete_removes_the_record"]),
    (Defect::ExistsCountsExpired, &["exists_agrees_with_get"]),
    (Defect::RefusesDots, &["every_key_can_be_used"]),
    (Defect::MixesConcurrentWrites, &["concurrent_writers_leave_a_whole_record"]),
    (Defect::OneFileForAll, &["writes_of_different_keys_are_independent"]),
    (Defect::LandsLate, &["a_dropped_write_does_not_land_after_a_later_one"]),
    (
        Defect::InventsRecords,
        &[
            "a_missing_key_has_no_record",
            "a_record_whose_end_has_passed_is_no_error",
            "delete_removes_the_record",
            "exists_agrees_with_get",
        ],
    ),
    (Defect::RoundsOrders, &["get_gives_what_set_stored"]),
    (Defect::RefusesOlderRecords, &["set_overwrites"]),
    (Defect::ForgetsDeletes, &["delete_removes_the_record", "exists_agrees_with_get"]),
    (Defect::ComplainsOfMissing, &["delete_is_idempotent"]),
    (Defect::ExistsSkipsTombstones, &["exists_agrees_with_get"]),
    (Defect::FoldsCase, &["keys_are_separate"]),
    (Defect::CutsKeys, &["keys_are_separate"]),
    (Defect::MergesPunctuation, &["keys_are_separate"]),
    (Defect::LosesTombstoneMark, &["tombstones_are_kept"]),
    (Defect::OverflowsFarEnds, &["records_are_kept_until_their_end"]),
    (Defect::FailsOnPastEnds, &["a_record_whose_end_has_passed_is_no_error"]),
    (Defect::KeepsOldEnd, &["a_record_outlives_the_end_of_the_one_before_it"]),
    (Defect::CutsLargeRecords, &["large_records_are_kept_whole"]),
    (Defect::TextOnly, &["payloads_may_hold_any_byte"]),
    (
        Defect::TornWrites,
        &["a_dropped_write_leaves_a_whole_record", "concurrent_writers_leave_a_whole_record"],
    ),
    (Defect::TornWhenDropped, &["a_dropped_write_leaves_a_whole_record"]),
];

pub(crate) const VERSIONS: Findings = &[
    (Defect::None, &[]),
    (Defect::LoadsInventedUnknown, &["load_of_a_missing_key_is_nothing"]),
    (Defect::LoadNamesVersionsAnew, &["load_gives_the_record_and_its_version"]),
    (Defect::LoadSkipsTombstones, &["get_exists_and_load_agree"]),
    (Defect::AddsOverTombstones, &["compare_and_set_adds_only_where_nothing_is"]),
    (Defect::SetsCannotBeReplaced, &["compare_and_set_replaces_the_version_it_expects"]),
    (Defect::AcceptsForeignVersions, &["compare_and_set_with_a_stale_version_conflicts"]),
    (Defect::ConflictNamesTheDeleted, &["the_version_of_a_deleted_record_conflicts"]),
    (Defect::ExpiredStandInTheWay, &["an_expired_record_is_in_nobodys_way"]),
    (Defect::RacyAdd, &["one_of_many_concurrent_writers_wins"]),
    (Defect::CasMissesSets, &["compare_and_set_undoes_no_concurrent_write"]),
    (Defect::TornCasWhenDropped, &["a_dropped_compare_and_set_leaves_a_whole_record"]),
    (
        Defect::LoadsInvented,
        &["load_of_a_missing_key_is_nothing", "the_version_of_a_deleted_record_conflicts"],
    ),
    (
        Defect::LoadsAnotherVersion,
        &[
            "a_dropped_compare_and_set_leaves_a_whole_record",
            "compare_and_set_replaces_the_version_it_expects",
            "load_gives_the_record_and_its_version",
        ],
    ),
    (
        Defect::AddsOverRecords,
        &["compare_and_set_adds_only_where_nothing_is", "one_of_many_concurrent_writers_wins"],
    ),
    (
        Defect::ReusesVersion,
        &[
            "compare_and_set_replaces_the_version_it_expects",
            "compare_and_set_with_a_stale_version_conflicts",
            "one_of_many_concurrent_writers_wins",
            "versions_are_never_used_twice",
        ],
    ),
    (
        Defect::IgnoresExpected,
        &[
            "compare_and_set_with_a_stale_version_conflicts",
            "one_of_many_concurrent_writers_wins",
            "records_can_be_used_while_a_lease_is_held",
            "versions_are_never_used_twice",
        ],
    ),
    (Defect::StoresOverNothing, &["the_version_of_a_deleted_record_conflicts"]),
    (Defect::DeleteResetsVersions, &["versions_are_never_used_twice"]),
    (
        Defect::SetKeepsVersion,
        &["versions_are_never_used_twice", "records_can_be_used_while_a_lease_is_held"],
    ),
    (
        Defect::RacyCompareAndSet,
        &["one_of_many_concurrent_writers_wins", "no_update_is_lost_among_concurrent_writers"],
    ),
    (Defect::TornLoad, &["no_update_is_lost_among_concurrent_writers"]),
    (
        Defect::CasLosesTombstoneMark,
        &[
            "compare_and_set_adds_only_where_nothing_is",
            "compare_and_set_keeps_all_parts_of_a_record",
            "get_exists_and_load_agree",
        ],
    ),
    (Defect::CasKeepsOldEnd, &["compare_and_set_keeps_all_parts_of_a_record"]),
];

pub(crate) const NOTICES: Findings = &[
    (Defect::NeverNotices, &["notices_follow_every_kind_of_write"]),
    (Defect::NoticesNoDeletes, &["notices_follow_every_kind_of_write"]),
    (Defect::NoticesInventedOrders, &["notices_follow_every_kind_of_write"]),
];

pub(crate) const LEASES: Findings = &[
    (Defect::GrantsLate, &["a_free_lease_is_granted"]),
    (
        Defect::GrantsToAll,
        &[
            "a_held_lease_excludes_others",
            "a_lease_ends_by_itself",
            "a_lease_that_was_lost_cannot_be_released",
            "a_waiting_asker_gets_the_released_lease",
            "an_asker_that_is_dropped_leaves_nothing_behind",
            "leases_and_records_have_names_of_their_own",
            "leases_of_different_keys_are_independent",
            "one_of_many_askers_holds_the_lease_at_a_time",
            "records_can_be_used_while_a_lease_is_held",
            "renewing_a_lease_extends_it",
            "waiting_for_a_lease_ends_in_time",
        ],
    ),
    (
        Defect::ReleaseDoesNothing,
        &[
            "a_released_lease_is_free_at_once",
            "a_waiting_asker_gets_the_released_lease",
            "an_asker_that_is_dropped_leaves_nothing_behind",
            "one_of_many_askers_holds_the_lease_at_a_time",
        ],
    ),
    (Defect::WaitsForTheEnd, &["a_waiting_asker_gets_the_released_lease"]),
    (Defect::WaitsTooLong, &["waiting_for_a_lease_ends_in_time"]),
    (
        Defect::NeverWaits,
        &[
            "a_lease_ends_by_itself",
            "a_waiting_asker_gets_the_released_lease",
            "an_asker_that_is_dropped_leaves_nothing_behind",
            "waiting_for_a_lease_ends_in_time",
        ],
    ),
    (
        Defect::NeverEnds,
        &[
            "a_lease_ends_by_itself",
            "a_lease_that_was_lost_cannot_be_released",
            "a_lease_that_was_lost_cannot_be_renewed",
        ],
    ),
    (Defect::RenewsAnything, &["a_lease_that_was_lost_cannot_be_renewed"]),
    (Defect::ReleasesAnything, &["a_lease_that_was_lost_cannot_be_released"]),
    (
        Defect::RenewsOnlyHere,
        &["a_lease_that_was_lost_cannot_be_renewed", "renewing_a_lease_extends_it"],
    ),
    (Defect::DropExtends, &["a_dropped_lease_ends"]),
    (Defect::OneLeaseForAll, &["leases_of_different_keys_are_independent"]),
    (Defect::DeleteEndsLease, &["records_can_be_used_while_a_lease_is_held"]),
    (Defect::LeaseBlocksRecords, &["records_can_be_used_while_a_lease_is_held"]),
    (Defect::RacyLease, &["one_of_many_askers_holds_the_lease_at_a_time"]),
    (Defect::QueuesTheGone, &["an_asker_that_is_dropped_leaves_nothing_behind"]),
    (Defect::RefusesAsUnsupported, &["a_held_lease_excludes_others"]),
    (Defect::ReleasesWhenAsked, &["a_released_lease_is_free_at_once"]),
    (Defect::GivesUpEarly, &["waiting_for_a_lease_ends_in_time"]),
    (Defect::EndsEarly, &["a_lease_ends_by_itself"]),
    (Defect::RenewDoesNothing, &["renewing_a_lease_extends_it"]),
    (Defect::LeasesFoldCase, &["leases_of_different_keys_are_independent"]),
    (Defect::LeasesCutKeys, &["leases_of_different_keys_are_independent"]),
    (Defect::LeaseIsARecord, &["leases_and_records_have_names_of_their_own"]),
];

/// Rules that a defect breaks or not as two calls happen to meet; others find it for sure.
pub(crate) const BY_CHANCE: &[(Defect, &str)] = &[
    (Defect::IgnoresExpected, "no_update_is_lost_among_concurrent_writers"),
    (Defect::IgnoresExpected, "compare_and_set_undoes_no_concurrent_write"),
    (Defect::ReusesVersion, "no_update_is_lost_among_concurrent_writers"),
    (Defect::StoresOverNothing, "compare_and_set_undoes_no_concurrent_write"),
    (Defect::SetKeepsVersion, "compare_and_set_undoes_no_concurrent_write"),
    (Defect::RacyCompareAndSet, "compare_and_set_undoes_no_concurrent_write"),
    (Defect::NeverWaits, "a_lease_that_was_lost_cannot_be_released"),
    (Defect::NeverWaits, "a_lease_that_was_lost_cannot_be_renewed"),
];

/// Rules that no defect can break alone, and why.
pub(crate) const NEVER_ALONE: &[(&str, &str)] = &[(
    "it_offers_to_be_shared",
    "where shared() gives None, no other rule of shared storages can be asked",
)];
