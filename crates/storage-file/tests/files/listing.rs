//! The keys of a storage, for those who look after it.

use std::collections::HashSet;

use tokenkeeper::{ListKeys, StorageKey, TokenStorage};

use crate::support::{Fixture, LAYOUTS, LayoutKind, key, other_key, record};

#[tokio::test]
async fn every_key_is_on_some_page_and_no_lease_or_lock_is() {
    for (layout, count) in [(LayoutKind::Directory, 600), (LayoutKind::SingleFile, 20)] {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        let keys: HashSet<_> = (0..count)
            .map(|number| StorageKey::new(&format!("svc:User.{number}")).unwrap())
            .collect();
        for key in &keys {
            storage.set(key, &record("x")).await.unwrap();
        }

        let (mut page, mut found) = (storage.list_keys(None).await.unwrap(), HashSet::new());
        while let Some(next) = page.next() {
            found.extend(page.keys().iter().cloned());
            page = storage.list_keys(Some(next)).await.unwrap();
        }
        found.extend(page.keys().iter().cloned());

        assert_eq!(found, keys);
    }
}

#[tokio::test]
async fn an_empty_storage_has_no_keys() {
    for layout in LAYOUTS {
        let page = Fixture::new(layout).storage().list_keys(None).await.unwrap();

        assert!(page.keys().is_empty() && page.next().is_none());
    }
}

#[tokio::test]
async fn a_damaged_record_hides_no_other_and_is_named() {
    let fixture = Fixture::new(LayoutKind::Directory);
    let storage = fixture.storage();
    storage.set(&key(), &record("x")).await.unwrap();
    let damaged = fixture.file();
    std::fs::write(&damaged, "damaged").unwrap();
    storage.set(&other_key(), &record("y")).await.unwrap();

    let page = storage.list_keys(None).await.unwrap();

    assert_eq!(page.keys(), [other_key()]);
    let [error] = page.unreadable() else { panic!("{page:?}") };
    assert!(error.to_string().contains(damaged.to_str().unwrap()), "{error}");
}
