//! The programs in README and in the pages of the book, which are compiled and run as doc tests.

macro_rules! pages {
    ($($name:ident: $path:literal;)*) => {$(
        #[doc = include_str!($path)]
        struct $name;
    )*};
}

pages! {
    Readme: "../../README.md";
    ReadmeOfCore: "../../crates/core/README.md";
    ReadmeOfProviders: "../../crates/providers/README.md";
    ReadmeOfReqwest: "../../crates/reqwest/README.md";
    ReadmeOfLoopback: "../../crates/loopback/README.md";
    ReadmeOfJwt: "../../crates/jwt/README.md";
    ReadmeOfFileStorage: "../../crates/storage-file/README.md";
    ReadmeOfRedisStorage: "../../crates/storage-redis/README.md";
    ReadmeOfTestkit: "../../crates/testkit/README.md";
    Tutorial: "../../docs/tutorial.md";
    LoggingPeopleIn: "../../docs/logging-people-in.md";
    ChoosingAStorage: "../../docs/choosing-a-storage.md";
    WritingAStorage: "../../docs/writing-a-storage.md";
    Users: "../../docs/how-to/users.md";
    CommandLine: "../../docs/how-to/cli.md";
    Desktop: "../../docs/how-to/desktop.md";
    WithoutAsync: "../../docs/how-to/sync.md";
    TestingAService: "../../docs/how-to/tests.md";
    WritingAProvider: "../../docs/how-to/provider.md";
    Services: "../../docs/how-to/services.md";
}
