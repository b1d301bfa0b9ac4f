//! What a manager makes of this storage: restarts, siblings, and files that are damaged.

use crate::support::{Fixture, LAYOUTS};
use tokenkeeper::{ErrorKind, TokenManager};
use tokenkeeper_testkit::ScriptedProvider;

fn manager(fixture: &Fixture, provider: &ScriptedProvider) -> TokenManager {
    TokenManager::builder(provider.clone()).storage(fixture.storage()).build().unwrap()
}

#[tokio::test]
async fn a_token_survives_the_process() {
    for layout in LAYOUTS {
        let (fixture, provider) = (Fixture::new(layout), ScriptedProvider::new("svc"));
        let first = manager(&fixture, &provider).token().await.unwrap();

        let second = manager(&fixture, &provider).token().await.unwrap();

        assert_eq!(first.authorization(), second.authorization());
        assert_eq!(provider.calls(), 1);
    }
}

#[tokio::test]
async fn managers_that_start_at_once_make_one_exchange() {
    for layout in LAYOUTS {
        let (fixture, provider) = (Fixture::new(layout), ScriptedProvider::new("svc"));
        let managers: Vec<_> = (0..8).map(|_| manager(&fixture, &provider)).collect();

        let calls = managers.iter().cloned().map(|m| tokio::spawn(async move { m.token().await }));
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }

        assert_eq!(provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_damaged_file_stops_what_may_have_a_refresh_token_in_it() {
    for layout in LAYOUTS {
        let (fixture, provider) = (Fixture::new(layout), ScriptedProvider::new("svc"));
        manager(&fixture, &provider).token().await.unwrap();
        std::fs::write(fixture.file(), "damaged").unwrap();

        let error = manager(&fixture, &provider).token().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
        assert!(error.to_string().contains(fixture.file().to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read(fixture.file()).unwrap(), b"damaged");
        assert_eq!(provider.calls(), 1);
        std::fs::remove_file(fixture.file()).unwrap();
        manager(&fixture, &provider).token().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_file_costs_what_has_no_refresh_token_only_its_memory() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let provider = ScriptedProvider::new("svc").without_refresh_tokens();
        manager(&fixture, &provider).token().await.unwrap();
        std::fs::write(fixture.file(), "damaged").unwrap();
        let manager = manager(&fixture, &provider);

        manager.token().await.unwrap();

        assert!(manager.status().unpersisted().is_some());
        assert_eq!(std::fs::read(fixture.file()).unwrap(), b"damaged");
        std::fs::remove_file(fixture.file()).unwrap();
        manager.flush().await.unwrap();
        assert!(manager.status().unpersisted().is_none());
        assert_ne!(std::fs::read(fixture.file()).unwrap(), b"damaged");
    }
}
