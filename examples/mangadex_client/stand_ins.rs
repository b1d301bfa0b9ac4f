//! What stands in for the hosts of MangaDex, and what they received.

use tokenkeeper::ManualClock;
use tokenkeeper_mangadex::{MangadexProvider, Realm, Session};
use tokenkeeper_providers::{BundledTransport, TransportOptions};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer};

use super::Result;
use super::api::{Api, USER_AGENT};
use super::rate_limit::RateLimit;

pub(crate) struct StandIns {
    /// auth.mangadex.org
    pub(crate) realm: FakeAuthServer,
    /// api.mangadex.org
    pub(crate) api: FakeAuthServer,
    /// uploads.mangadex.org
    pub(crate) uploads: FakeAuthServer,
    pub(crate) limit: RateLimit,
    /// The limit goes by it, and nothing else does.
    pub(crate) limit_clock: ManualClock,
    /// It stands still: no pause ends while the machine does.
    clock: ManualClock,
}

impl StandIns {
    pub(crate) fn start() -> Result<Self> {
        let clock = ManualClock::new();
        let realm = FakeAuthServer::builder()
            .client("personal-client-1", "s3cret", ClientAuth::Post)
            .user("alice", "wonderland")
            .token_path("/realms/mangadex/protocol/openid-connect/token")
            .revocation_path("/realms/mangadex/protocol/openid-connect/revoke")
            .clock(clock.clone())
            .start();
        let resources = |public| {
            let server = FakeAuthServer::builder().resource_prefix("/").public_path(public);
            server.accept_tokens_of(&realm).start()
        };
        let (api, uploads) = (resources("/manga"), resources("/covers/1.png"));
        let limit_clock = ManualClock::new();
        let limit = RateLimit::new(api.url().parse()?, limit_clock.clone());
        Ok(Self { realm, api, uploads, limit, limit_clock, clock })
    }

    /// A client without a login.
    pub(crate) fn anonymous(&self) -> Result<Api> {
        self.client(Session::anonymous())
    }

    /// A client with Alice's credentials, of which nothing has been sent yet.
    pub(crate) fn alice(&self) -> Result<Api> {
        let user_agent = TransportOptions::new().with_user_agent(USER_AGENT);
        let provider =
            MangadexProvider::builder("personal-client-1:s3cret:alice:wonderland".parse()?)
                .realm(Realm::new(&self.realm.url(), "mangadex")?)
                .transport(BundledTransport::new(user_agent)?)
                .build()?;
        let clock = self.clock.clone();
        self.client(Session::configured(provider, |manager| manager.clock(clock))?)
    }

    fn client(&self, session: Session) -> Result<Api> {
        Ok(Api::new(session, &self.api.url(), self.limit.clone())?)
    }

    /// How many exchanges the realm granted and refused: by password, by refresh token.
    pub(crate) fn exchanges(&self) -> [(usize, usize); 2] {
        let stats = self.realm.stats();
        ["password", "refresh_token"]
            .map(|grant| (stats.count(grant, 200), stats.count(grant, 400)))
    }

    /// How many requests the API answered 200 and 401.
    pub(crate) fn answers(&self) -> (usize, usize) {
        let stats = self.api.stats();
        (stats.resource(200), stats.resource(401))
    }

    /// The same in words, without the login and the call that each chapter begins with.
    pub(crate) fn tries(&self) -> String {
        let ([(logins, no_logins), (refreshes, no_refreshes)], (served, refused)) =
            (self.exchanges(), self.answers());
        format!(
            "refreshes: {refreshes} granted, {no_refreshes} refused; logins: {} granted, \
             {no_logins} refused; the API answered {refused} with 401, {} with 200",
            logins - 1,
            served - 1,
        )
    }

    /// What holds whatever happens: every request says who sends it, and comes by no proxy; tokens
    /// go to the API alone; every request to the API counts against its limit, and no other does.
    pub(crate) fn check(&self) {
        let all = [&self.realm, &self.api, &self.uploads].map(FakeAuthServer::received).concat();
        assert!(all.iter().all(|request| request.header("user-agent") == Some(USER_AGENT)));
        assert!(all.iter().all(|request| request.header("via").is_none()));
        assert_eq!((with_token(&self.realm), with_token(&self.uploads)), (0, 0));
        assert_eq!(self.limit.passed(), self.api.requests());
    }
}

/// How many requests to a server had a token.
pub(crate) fn with_token(server: &FakeAuthServer) -> usize {
    let received = server.received();
    received.iter().filter(|request| request.header("authorization").is_some()).count()
}
