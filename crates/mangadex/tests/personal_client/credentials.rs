//! What a quad is, and what is refused.

use tokenkeeper::{ErrorKind, Secret};
use tokenkeeper_mangadex::{Credentials, PersonalClient};

fn four(credentials: &Credentials) -> [&str; 4] {
    [
        credentials.client().id(),
        credentials.client().secret().expose_secret(),
        credentials.username(),
        credentials.password().expose_secret(),
    ]
}

#[test]
fn a_quad_is_split_at_its_first_three_colons() {
    let plain: Credentials = "a:b:c:d".parse().unwrap();
    let colons: Credentials = "a:b:c:d:e:f:".parse().unwrap();

    assert_eq!(four(&plain), ["a", "b", "c", "d"]);
    assert_eq!(four(&colons), ["a", "b", "c", "d:e:f:"]);
}

#[test]
fn a_quad_with_fewer_parts_is_refused_with_what_it_should_be() {
    for (text, parts) in [("", 1), ("planted", 1), ("planted:b", 2), ("planted:b:c", 3)] {
        let error = text.parse::<Credentials>().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        let said = error.to_string();
        assert!(said.contains("client_id:client_secret:username:password"), "{said}");
        assert!(said.contains(&format!("only {parts} of the four")), "{said}");
        assert!(!format!("{error:?}{said}").contains("planted"));
    }
}

#[test]
fn an_empty_field_is_refused_by_its_name() {
    let table = [
        (":::", "client_id"),
        (":planted:planted:planted", "client_id"),
        ("planted::planted:planted", "client_secret"),
        ("planted:planted::planted", "username"),
        ("planted:planted:planted:", "password"),
        ("planted:planted:planted:\r\n", "password"),
    ];
    for (text, field) in table {
        let error = text.parse::<Credentials>().unwrap_err();

        assert!(error.to_string().contains(&format!("{field}: must not be empty")), "{error}");
        assert!(!format!("{error:?}{error}").contains("planted"));
    }
}

#[test]
fn one_line_end_is_trimmed_and_nothing_else() {
    let table =
        [("a:b:c:d\n", "d"), ("a:b:c:d\r\n", "d"), ("a:b:c: d ", " d "), (" a:b:c:d \n", "d ")];
    for (text, password) in table {
        let credentials: Credentials = text.parse().unwrap();
        assert_eq!(credentials.password().expose_secret(), password);
        assert_eq!(credentials.client().id().starts_with(' '), text.starts_with(' '));
    }
}

#[test]
fn control_characters_are_refused_by_the_name_of_the_field() {
    let table = [
        ("planted\n:b:c:d", "client_id"),
        ("a:planted\0:c:d", "client_secret"),
        ("a:b:planted\r:d", "username"),
        ("a:b:c:planted\n\n", "password"),
        ("a:b:c:planted\r", "password"),
    ];
    for (text, field) in table {
        let error = text.parse::<Credentials>().unwrap_err();

        assert!(error.to_string().contains(&format!("{field}: must not have")), "{error}");
        assert!(!format!("{error:?}{error}").contains("planted"));
    }
}

#[test]
fn the_builder_wants_all_four_and_takes_them_as_they_are() {
    let builder = || Credentials::builder().client_id("a:1").client_secret("b:2");

    let built = builder().username("c:3").password(" d\u{e9}%+&= ").build().unwrap();

    assert_eq!(four(&built), ["a:1", "b:2", "c:3", " d\u{e9}%+&= "]);
    let missing = [
        (Credentials::builder().build(), "client_id"),
        (Credentials::builder().client_id("a").build(), "client_secret"),
        (builder().build(), "username"),
        (builder().username("c").build(), "password"),
    ];
    for (result, field) in missing {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("{field}: must be given")), "{error}");
    }
    let empty = builder().username("").password("planted").build().unwrap_err();
    assert!(empty.to_string().contains("username: must not be empty"), "{empty}");
    assert!(!format!("{empty:?}").contains("planted"));
}

#[test]
fn debug_shows_client_and_user_and_no_secret() {
    let credentials: Credentials = "the-client:planted-1:the-user:planted-2".parse().unwrap();
    let builder = Credentials::builder().client_secret("planted-1").password("planted-2");
    let client = PersonalClient::new("the-client", "planted-1").unwrap();

    let shown = format!("{credentials:?} {credentials:#?} {builder:?} {builder:#?} {client:?}");

    assert!(shown.contains("the-client") && shown.contains("the-user"));
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn secret_and_password_are_overwritten_when_dropped() {
    fn overwritten<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    let credentials: Credentials = "a:b:c:d".parse().unwrap();

    let (secret, password): (&Secret, &Secret) =
        (credentials.client().secret(), credentials.password());

    overwritten(secret);
    overwritten(password);
}

#[test]
fn the_shape_of_a_client_id_is_not_checked() {
    for id in ["personal-client-1", "x", "\u{6f2b}\u{753b}"] {
        assert_eq!(PersonalClient::new(id, "secret").unwrap().id(), id);
    }
    assert!(PersonalClient::new("", "planted").is_err());
    assert!(PersonalClient::new("id", "").is_err());
}
