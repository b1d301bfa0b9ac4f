//! What a sibling process would have stored, and what a storage holds.

use std::time::SystemTime;

use tokenkeeper::{
    AccessToken, MemoryStorage, Order, ProviderIdentity, StorageKey, TokenManager, TokenRecord,
    TokenSet, TokenStorage,
};
use tokenkeeper_testkit::ScriptedProvider;

use super::setup::seconds;

/// Tokens named after whoever has them, good for 15 minutes.
pub fn tokens_of(owner: &str, requested_at: SystemTime) -> TokenSet {
    let access = AccessToken::new(format!("{owner}-access"), "Bearer").unwrap();
    TokenSet::new(access, requested_at)
        .with_lifetime(seconds(900))
        .with_refresh_token(format!("{owner}-refresh"))
}

/// The record of these tokens, under that order.
pub async fn record_of(tokens: TokenSet, order: Order) -> TokenRecord {
    let (storage, provider) = (MemoryStorage::new(), ScriptedProvider::new("sibling"));
    let manager = TokenManager::builder(provider).storage(storage.clone()).build().unwrap();
    manager.install(tokens).await.unwrap();
    let record = stored(&storage, manager.key()).await.unwrap();
    TokenRecord::from_parts(record.payload().to_vec(), order, record.keep_until(), false)
}

pub async fn stored(storage: &MemoryStorage, key: &StorageKey) -> Option<TokenRecord> {
    storage.get(key).await.unwrap()
}

/// Whether the record that is stored has this text in it.
pub async fn holds(storage: &MemoryStorage, key: &StorageKey, text: &str) -> bool {
    let record = stored(storage, key).await;
    record.is_some_and(|r| String::from_utf8_lossy(r.payload()).contains(text))
}

pub fn key_of(service_name: &str) -> StorageKey {
    ProviderIdentity::new(service_name).storage_key()
}
