//! M10: while what a refresh brought is not written, no other process spends what it spent.

use tokenkeeper_testkit::{ScriptedProvider, StorageFault, StorageOperation};

use crate::one_thread::{finish, pass};
use crate::support::fleet::Fleet;
use crate::support::rig::seconds;

async fn outage_of_writes(provider: &ScriptedProvider, outage: u64) -> Fleet {
    let fleet = Fleet::on_this_runtime(2, provider);
    for manager in &fleet.managers {
        finish(&fleet.clock, manager.token()).await.unwrap();
    }
    fleet.flush().await;
    pass(&fleet.clock, seconds(60)).await;
    fleet.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
    finish(&fleet.clock, fleet.managers[0].force_refresh()).await.unwrap();
    pass(&fleet.clock, seconds(outage)).await;
    fleet
}

#[tokio::test]
async fn a_write_outage_longer_than_a_lease_does_not_let_a_sibling_spend_a_spent_refresh_token() {
    for outage in [0, 20, 31, 45, 100, 400] {
        let provider = ScriptedProvider::new("svc");
        let fleet = outage_of_writes(&provider, outage).await;

        let _ = finish(&fleet.clock, fleet.managers[1].force_refresh()).await;
        pass(&fleet.clock, seconds(100)).await;

        assert_eq!(provider.reuses(), 0, "after {outage} s");
    }
}

#[tokio::test]
async fn a_sibling_gets_its_turn_once_the_write_is_made() {
    let provider = ScriptedProvider::new("svc");
    let fleet = outage_of_writes(&provider, 400).await;

    fleet.storage.heal();
    pass(&fleet.clock, seconds(61)).await;
    finish(&fleet.clock, fleet.managers[1].force_refresh()).await.unwrap();

    assert_eq!(provider.reuses(), 0);
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
}
