//! M11: a whole life of a manager, with all that can go wrong in it, shows no secret.

use crate::support::planted::{Life, Shown};

#[tokio::test]
async fn a_whole_life_shows_no_secret_anywhere() {
    let shown = Shown::default();
    let life = Life::new(|builder| {
        let builder = builder.observer(shown.clone());
        shown.debug(&builder);
        builder
    });
    let statuses = life.manager.subscribe();
    shown.debug(&life.manager.spawn_refresher());

    life.live(|error| {
        error.into_iter().for_each(|error| shown.chain(error));
        shown.debug(&life.manager);
        shown.debug(&life.manager.blocking());
        shown.debug(&life.manager.peek());
        shown.both(&life.manager.status());
        shown.debug(&statuses);
        shown.debug(&statuses.current());
        shown.debug(&life.storage);
        shown.both(life.manager.key());
        if let Some(error) = life.manager.status().last_error() {
            shown.chain(error);
        }
        if let Some(error) = life.manager.status().unpersisted() {
            shown.chain(error);
        }
    })
    .await;

    let texts = shown.0.lock();
    for event in [
        "TokenRequestStarted",
        "TokenRequestSucceeded",
        "TokenRequestFailed",
        "AnswerLost",
        "Panicked",
        "RefreshTokenDropped",
        "StorageFailed",
        "WriteRecovered",
        "Rejected",
        "Installed",
        "RecordUnreadable",
        "Cleared",
    ] {
        assert!(texts.iter().any(|text| text.contains(event)), "{event} did not happen");
    }
    assert_eq!(texts.iter().find(|text| text.contains("planted")), None);
}
