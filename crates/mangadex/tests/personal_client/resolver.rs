//! Where credentials come from, and which place goes first.

use std::ffi::OsString;

use tokenkeeper::{Error, ErrorKind, Secret};
use tokenkeeper_mangadex::{CredentialStore, Credentials, MemoryCredentialStore, Resolver};

const OURS: &str = "MANGADEX_CREDENTIALS";
const ANIMEDEX: &str = "ANIMEDEX_MANGADEX_CREDS";

/// A resolver whose environment is this list and nothing else.
fn resolver(environment: &[(&str, &str)]) -> Resolver {
    let environment: Vec<(String, OsString)> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    Resolver::new().environment(move |name| {
        environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    })
}

fn store(value: &str) -> MemoryCredentialStore {
    MemoryCredentialStore::from_iter([("mangadex", value), ("other", "o:o:o:o")])
}

fn quad(user: &str) -> String {
    format!("id:secret:{user}:password")
}

#[test]
fn given_goes_before_environment_before_store() {
    let (given, ours, animedex, kept) =
        (&quad("given"), &quad("ours"), &quad("animedex"), &quad("kept"));
    let both: &[(&str, &str)] = &[(OURS, ours), (ANIMEDEX, animedex)];
    let table = [
        (resolver(both).given(given.as_str()).store(store(kept)), "given"),
        (resolver(both).store(store(kept)), "ours"),
        (resolver(&[(ANIMEDEX, animedex)]).store(store(kept)), "animedex"),
        (resolver(&[]).store(store(kept)), "kept"),
        (resolver(both), "ours"),
    ];
    for (resolver, user) in table {
        assert_eq!(resolver.resolve().unwrap().username(), user);
    }
}

#[test]
fn what_is_given_may_be_credentials_or_a_text() {
    let credentials: Credentials = quad("alice").parse().unwrap();
    let table = [
        resolver(&[]).given(credentials),
        resolver(&[]).given(quad("alice")),
        resolver(&[]).given(quad("alice").as_str()),
        resolver(&[]).given(Secret::from(quad("alice"))),
    ];
    for resolver in table {
        assert_eq!(resolver.resolve().unwrap().username(), "alice");
    }
}

#[test]
fn an_empty_value_counts_as_none() {
    let kept = &quad("kept");
    for empty in ["", "\n", "\r\n"] {
        let environment: &[(&str, &str)] = &[(OURS, empty), (ANIMEDEX, empty)];
        let found = resolver(environment).given(empty).store(store(kept)).resolve().unwrap();
        assert_eq!(found.username(), "kept");

        let nothing = resolver(&[]).store(store(empty)).resolve().unwrap_err();
        assert!(nothing.to_string().contains("no credentials"), "{nothing}");
    }
}

#[test]
fn a_malformed_place_is_an_error_that_names_it_and_nothing_behind_it_is_asked() {
    let good = &quad("alice");
    let environment: &[(&str, &str)] = &[(OURS, good)];
    let table = [
        (resolver(environment).given("planted").store(store(good)), "the given credentials"),
        (resolver(&[(OURS, "planted:x"), (ANIMEDEX, good)]), OURS),
        (resolver(&[(ANIMEDEX, ":::planted")]).store(store(good)), ANIMEDEX),
        (
            resolver(&[]).store(store("planted:planted:planted:")),
            "credential store, key `mangadex`",
        ),
        (resolver(&[]).given(" "), "the given credentials"),
    ];
    for (resolver, place) in table {
        let error = resolver.resolve().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(place), "{error}");
        assert!(!format!("{error}{error:?}{resolver:?}").contains("planted"), "{error:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_malformed() {
    use std::os::unix::ffi::OsStringExt as _;
    let resolver = Resolver::new()
        .environment(|name| (name == OURS).then(|| OsString::from_vec(vec![0xff, b':'])))
        .store(store(&quad("alice")));

    let error = resolver.resolve().unwrap_err();

    assert!(error.to_string().contains("MANGADEX_CREDENTIALS: must be UTF-8"), "{error}");
}

#[test]
fn nothing_anywhere_is_an_error_that_names_all_three_places() {
    let error = resolver(&[]).store(MemoryCredentialStore::new()).resolve().unwrap_err();

    let said = error.to_string();
    for place in ["given", OURS, ANIMEDEX, "credential store", "`mangadex`"] {
        assert!(said.contains(place), "{place}: {said}");
    }
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn the_names_of_the_variables_can_be_changed() {
    let resolver = resolver(&[(OURS, &quad("ours")), ("MINE", &quad("mine"))]);

    assert_eq!(resolver.variables(["OTHER", "MINE"]).resolve().unwrap().username(), "mine");
}

#[test]
fn passwords_are_taken_literally_from_every_place() {
    let password = "100%(home)s+&=: \u{6f2b}\u{753b} %41";
    let text = format!("id:secret:alice:{password}");
    let table = [
        resolver(&[]).given(text.as_str()),
        resolver(&[(OURS, &text)]),
        resolver(&[]).store(store(&text)),
    ];
    for resolver in table {
        assert_eq!(resolver.resolve().unwrap().password().expose_secret(), password);
    }
}

#[test]
fn a_store_that_cannot_be_asked_is_not_taken_for_an_empty_one() {
    #[derive(Debug)]
    struct Locked;
    impl CredentialStore for Locked {
        fn get(&self, _key: &str) -> Result<Option<Secret>, Error> {
            Err(Error::new(ErrorKind::Storage, "the keyring is locked"))
        }
    }

    let error = resolver(&[]).store(Locked).resolve().unwrap_err();

    assert!(error.to_string().contains("the keyring is locked"), "{error}");
}

#[test]
fn the_memory_store_gives_lists_and_deletes_what_it_was_given() {
    let store = MemoryCredentialStore::from_iter([("b", "planted-1")]);
    let same = store.clone();
    same.set("a", "planted-2");

    assert_eq!(store.keys(), ["a", "b"]);
    assert_eq!(store.get("a").unwrap().unwrap().expose_secret(), "planted-2");
    assert!(!format!("{store:?} {store:#?}").contains("planted"));
    store.delete("a");
    store.delete("a");
    store.delete("never there");

    assert_eq!(store.keys(), ["b"]);
    assert!(store.get("a").unwrap().is_none());
}

#[test]
fn pointers_to_a_store_are_stores() {
    let shared = std::sync::Arc::new(store(&quad("alice")));
    let boxed: Box<dyn CredentialStore> = Box::new(std::sync::Arc::clone(&shared));

    assert_eq!(resolver(&[]).store(boxed).resolve().unwrap().username(), "alice");
}
