//! What the admin endpoint does: one command for each path.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokenkeeper_testkit::{Decision, Stats};

use crate::admin::Admin;
use crate::fault::{EndpointName, FaultName};

/// The paths that [`run`] knows, for people who ask.
pub(crate) const COMMANDS: [&str; 16] = [
    "decisions",
    "faults",
    "heal",
    "release",
    "person",
    "user",
    "client_secret",
    "device",
    "clock",
    "keys",
    "revoke",
    "accept",
    "token_lifetime",
    "id_token_claim",
    "metadata",
    "reset",
];

/// Runs the command of this name. `None` for a name that is no command's.
pub(crate) fn run(admin: &Admin, name: &str, body: &[u8]) -> Option<Result<Value, String>> {
    Some(match name {
        "decisions" => parsed(body).map(|command: Decide| command.run(admin)),
        "faults" => parsed(body).map(|command: Fail| command.run(admin)),
        "heal" => done(|| admin.server.heal()),
        "release" => done(|| admin.server.release_hung()),
        "person" => parsed(body).map(|Name { name }| admin.server.set_person(&name)).map(ok),
        "user" => parsed(body)
            .map(|User { name, password }| admin.server.set_password(&name, &password))
            .map(ok),
        "client_secret" => parsed(body)
            .map(|Secret { id, secret }| admin.server.set_client_secret(&id, &secret))
            .map(ok),
        "device" => parsed(body).map(|command: Device| command.run(admin)),
        "clock" => parsed(body)
            .map(|Clock { advance }| admin.clock.advance(Duration::from_secs(advance)))
            .map(ok),
        "keys" => parsed(body).map(|command: Keys| command.run(admin)),
        "revoke" => parsed(body).map(|command: Revoke| command.run(admin)),
        "accept" => parsed(body)
            .map(|Accept { token, scopes }| admin.server.accept_token(&token, &scopes))
            .map(ok),
        "token_lifetime" => parsed(body)
            .map(|Seconds { seconds }| {
                admin.server.set_token_lifetime(Duration::from_secs(seconds));
            })
            .map(ok),
        "id_token_claim" => parsed(body)
            .map(|Member { name, value }| admin.server.set_id_token_claim(&name, value))
            .map(ok),
        "metadata" => parsed(body)
            .map(|Member { name, value }| admin.server.set_metadata(&name, value))
            .map(ok),
        "reset" => done(|| admin.server.reset_counters()),
        _ => return None,
    })
}

/// What was counted.
pub(crate) fn counters(admin: &Admin) -> Value {
    let stats: Stats = admin.server.stats();
    let answers: Vec<Value> = stats
        .answered()
        .into_iter()
        .map(|(what, status, count)| json!({ "what": what, "status": status, "count": count }))
        .collect();
    json!({
        "requests": stats.requests(),
        "token_requests": stats.exchanges(),
        "most_token_requests_at_once": stats.max_in_flight(),
        "answers": answers,
        "lost_answers": stats.lost_answers(),
        "reused_refresh_tokens": stats.reuses(),
        "live_access_tokens": admin.server.live_access_tokens(),
    })
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn done(act: impl FnOnce()) -> Result<Value, String> {
    act();
    Ok(ok(()))
}

fn ok((): ()) -> Value {
    json!({ "ok": true })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decide {
    decision: DecisionName,
    /// For `approve_only` the scopes, for `refuse` the error code.
    value: Option<String>,
    #[serde(default = "one")]
    count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecisionName {
    Approve,
    ApproveOnly,
    Decline,
    Refuse,
    WrongState,
    NoState,
    WrongIssuer,
    NoIssuer,
}

impl Decide {
    fn run(self, admin: &Admin) -> Value {
        let value = self.value.unwrap_or_default();
        let decision = match self.decision {
            DecisionName::Approve => Decision::Approve,
            DecisionName::ApproveOnly => Decision::ApproveOnly(value),
            DecisionName::Decline => Decision::Decline,
            DecisionName::Refuse => Decision::Refuse(value),
            DecisionName::WrongState => Decision::WrongState,
            DecisionName::NoState => Decision::NoState,
            DecisionName::WrongIssuer => Decision::WrongIssuer,
            DecisionName::NoIssuer => Decision::NoIssuer,
        };
        admin.server.decide_next(self.count, decision);
        ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    #[serde(default)]
    endpoint: EndpointName,
    fault: FaultName,
    #[serde(default = "one")]
    count: usize,
}

impl Fail {
    fn run(self, admin: &Admin) -> Value {
        admin.server.fail_next_at(self.endpoint.into(), self.count, self.fault.into());
        ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    user_code: String,
    approve: bool,
}

impl Device {
    fn run(self, admin: &Admin) -> Value {
        let waited = if self.approve {
            admin.server.approve_device(&self.user_code)
        } else {
            admin.server.deny_device(&self.user_code)
        };
        json!({ "ok": waited })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    keep_published: bool,
}

impl Keys {
    fn run(self, admin: &Admin) -> Value {
        if self.keep_published {
            admin.server.renew_signing_keys();
        } else {
            admin.server.rotate_signing_keys();
        }
        ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    token: Option<String>,
    #[serde(default)]
    all_access_tokens: bool,
    #[serde(default)]
    all_refresh_tokens: bool,
}

impl Revoke {
    fn run(self, admin: &Admin) -> Value {
        if self.all_access_tokens {
            admin.server.revoke_all_access_tokens();
        }
        if self.all_refresh_tokens {
            admin.server.kill_refresh_tokens();
        }
        let was_good = self.token.map(|token| admin.server.revoke_access(&token));
        json!({ "ok": was_good.unwrap_or(true) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    id: String,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    /// In seconds.
    advance: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    token: String,
    #[serde(default)]
    scopes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seconds {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    name: String,
    /// Null leaves the member out.
    #[serde(default)]
    value: Value,
}

const fn one() -> usize {
    1
}
