//! Which tokens were issued, and which of them are still good.
//!
//! Every login starts a family: the tokens that follow from it by refreshing. A refresh token that
//! comes a second time means that two parties have it, so the whole family dies (RFC 9700 §4.14.2).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokenkeeper::{Now, Scopes};

/// Who may do what with the tokens of one login.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) client_id: String,
    /// Absent where the client acts for itself.
    pub(super) username: Option<String>,
    pub(super) scopes: Scopes,
    /// The resources that it was asked for (RFC 8707), if for any in particular.
    pub(super) resources: Vec<String>,
    /// Present where the person came themselves, and not their password.
    pub(super) sign_in: Option<SignIn>,
    /// Who acts for the person (RFC 8693 §4.1).
    pub(super) actor: Option<String>,
    /// The thumbprint of the key that refresh tokens are bound to: those of public clients
    /// (RFC 9449 §5).
    pub(super) key: Option<String>,
}

impl Family {
    /// Whom its tokens stand for: the person, or the client itself.
    pub(super) fn subject(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.client_id)
    }
}

/// When and how a person came.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn {
    pub(super) at: Now,
}

/// What one access token is good for.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) scopes: Scopes,
    pub(super) resources: Vec<String>,
    /// The thumbprint of the key that it is bound to.
    pub(super) key: Option<String>,
}

impl Grant {
    pub(super) const fn token_type(&self) -> &'static str {
        if self.key.is_some() { "DPoP" } else { "Bearer" }
    }
}

/// How new tokens are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) lifetime: Duration,
    pub(super) refresh_lifetime: Option<Duration>,
    pub(super) rotates: bool,
    pub(super) reuse_grace: Duration,
}

#[derive(Default)]
pub(super) struct TokenBook {
    families: Vec<Family>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    last_access: Option<String>,
    id_tokens: HashSet<String>,
    reuses: usize,
}

struct Access {
    family: usize,
    grant: Grant,
    issued_at: Now,
    ends: Now,
    dead: bool,
}

struct Refresh {
    family: usize,
    ends: Option<Now>,
    spent_at: Option<Now>,
    dead: bool,
}

/// What a request with a refresh token comes to.
#[derive(Debug)]
pub(super) enum Spending {
    /// The family, to issue new tokens in.
    Allowed(usize),
    /// Unknown, ended, revoked, of another client, or spent before.
    Refused,
    /// More scopes than were granted.
    TooMuch,
}

/// An access token that is good.
pub(super) struct LiveToken {
    pub(super) family: Family,
    pub(super) grant: Grant,
    pub(super) issued_at: Now,
    pub(super) ends: Now,
}

impl TokenBook {
    pub(super) fn open_family(&mut self, family: Family) -> usize {
        self.families.push(family);
        self.families.len() - 1
    }

    pub(super) fn family(&self, id: usize) -> Option<&Family> {
        self.families.get(id)
    }

    pub(super) fn issue_access(
        &mut self,
        family: usize,
        grant: Grant,
        terms: &Terms,
        now: &Now,
    ) -> String {
        let token = random_token("at");
        let ends = now.after(terms.lifetime);
        let access = Access { family, grant, issued_at: *now, ends, dead: false };
        self.access.insert(token.clone(), access);
        self.last_access = Some(token.clone());
        token
    }

    /// Takes an access token that was issued elsewhere, until it is revoked.
    pub(super) fn accept(&mut self, token: &str, family: Family, now: &Now) {
        let scopes = family.scopes.clone();
        let grant = Grant { scopes, resources: Vec::new(), key: None };
        let family = self.open_family(family);
        let ends = now.after(A_LONG_TIME);
        let access = Access { family, grant, issued_at: *now, ends, dead: false };
        self.access.insert(token.to_owned(), access);
    }

    pub(super) fn remember_id_token(&mut self, token: &str) {
        self.id_tokens.insert(token.to_owned());
    }

    /// Whether this very ID token was issued here, whatever is in it.
    pub(super) fn has_issued_id_token(&self, token: &str) -> bool {
        self.id_tokens.contains(token)
    }

    /// The access token issued last, its life started anew.
    pub(super) fn issue_last_access_again(&mut self, terms: &Terms, now: &Now) -> Option<String> {
        let token = self.last_access.clone()?;
        let access = self.access.get_mut(&token)?;
        access.ends = now.after(terms.lifetime);
        Some(token)
    }

    pub(super) fn issue_refresh(&mut self, family: usize, terms: &Terms, now: &Now) -> String {
        let token = random_token("rt");
        let ends = terms.refresh_lifetime.map(|lifetime| now.after(lifetime));
        self.refresh.insert(token.clone(), Refresh { family, ends, spent_at: None, dead: false });
        token
    }

    /// The family of a refresh token, whatever has become of it.
    pub(super) fn family_of_refresh(&self, token: &str) -> Option<&Family> {
        self.family(self.refresh.get(token)?.family)
    }

    /// The family of a refresh token that would be taken.
    pub(super) fn live_refresh(&self, token: &str, now: &Now) -> Option<&Family> {
        let refresh = self.refresh.get(token)?;
        let is_over = refresh.dead || refresh.spent_at.is_some();
        let has_ended = refresh.ends.is_some_and(|ends| has_ended(&ends, now));
        self.family(refresh.family).filter(|_| !is_over && !has_ended)
    }

    /// Spends a refresh token. `wanted` are the scopes that the request names, if it does.
    pub(super) fn spend(
        &mut self,
        token: &str,
        client_id: &str,
        wanted: Option<&Scopes>,
        terms: &Terms,
        now: &Now,
    ) -> Spending {
        let Some(refresh) = self.refresh.get(token) else { return Spending::Refused };
        let id = refresh.family;
        let Some(family) = self.families.get(id) else { return Spending::Refused };
        if family.client_id != client_id {
            return Spending::Refused;
        }
        let in_grace = |spent: &Now| now.since(spent) < terms.reuse_grace;
        if refresh.spent_at.as_ref().is_some_and(|spent| !in_grace(spent)) {
            self.reuses += 1;
            self.kill_family(id);
            return Spending::Refused;
        }
        if refresh.dead || refresh.ends.is_some_and(|ends| has_ended(&ends, now)) {
            return Spending::Refused;
        }
        if wanted.is_some_and(|wanted| !contains_all(&family.scopes, wanted)) {
            return Spending::TooMuch;
        }
        if let Some(refresh) = self.refresh.get_mut(token).filter(|_| terms.rotates) {
            refresh.spent_at.get_or_insert(*now);
        }
        Spending::Allowed(id)
    }

    /// What an access token is good for, if it is.
    pub(super) fn present(&self, token: &str, now: &Now) -> Option<LiveToken> {
        let access = self.access.get(token).filter(|a| !a.dead && !has_ended(&a.ends, now))?;
        let family = self.family(access.family)?.clone();
        let Access { issued_at, ends, .. } = *access;
        Some(LiveToken { family, grant: access.grant.clone(), issued_at, ends })
    }

    /// Why an access token is not good.
    pub(super) fn why_not(&self, token: &str) -> &'static str {
        match self.access.get(token) {
            None => "this token was never issued",
            Some(access) if access.dead => "the token was revoked",
            Some(_) => "the token has expired",
        }
    }

    /// Whose token it is, of either kind; `None` if it was never issued.
    pub(super) fn owner(&self, token: &str) -> Option<&Family> {
        let family = match (self.refresh.get(token), self.access.get(token)) {
            (Some(refresh), _) => refresh.family,
            (None, Some(access)) => access.family,
            (None, None) => return None,
        };
        self.families.get(family)
    }

    /// Revokes an access token, or a refresh token with its whole family (RFC 7009 §2.1).
    pub(super) fn revoke(&mut self, token: &str) {
        match self.refresh.get(token).map(|refresh| refresh.family) {
            Some(family) => self.kill_family(family),
            None => {
                self.revoke_access(token);
            }
        }
    }

    pub(super) fn revoke_access(&mut self, token: &str) -> bool {
        match self.access.get_mut(token) {
            Some(access) => !std::mem::replace(&mut access.dead, true),
            None => false,
        }
    }

    pub(super) fn revoke_all_access(&mut self) {
        self.access.values_mut().for_each(|access| access.dead = true);
    }

    pub(super) fn kill_all_refresh(&mut self) {
        self.refresh.values_mut().for_each(|refresh| refresh.dead = true);
    }

    pub(super) fn live_access(&self, now: &Now) -> usize {
        self.access.values().filter(|a| !a.dead && !has_ended(&a.ends, now)).count()
    }

    pub(super) fn reuses(&self) -> usize {
        self.reuses
    }

    pub(super) fn forget_reuses(&mut self) {
        self.reuses = 0;
    }

    pub(super) fn kill_family(&mut self, family: usize) {
        let access = self.access.values_mut().filter(|access| access.family == family);
        access.for_each(|access| access.dead = true);
        let refresh = self.refresh.values_mut().filter(|refresh| refresh.family == family);
        refresh.for_each(|refresh| refresh.dead = true);
    }
}

pub(super) fn contains_all(granted: &Scopes, wanted: &Scopes) -> bool {
    wanted.iter().all(|scope| granted.contains(scope))
}

pub(super) fn has_ended(ends: &Now, now: &Now) -> bool {
    now.until(ends).is_zero()
}

pub(super) fn random_token(kind: &str) -> String {
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
    format!("{kind}.{random}")
}

const A_LONG_TIME: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
