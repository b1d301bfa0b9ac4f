// The grants that `oidc-provider` leaves to its users, as such users register them: what goes over the
// wire is the standards', whom they let in is ours.

import { errors } from 'oidc-provider';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { JWT_BEARER, SCOPES, TOKEN_EXCHANGE, publicKeys } from './clients.mjs';

export const PASSWORDS = new Map([
  ['alice', 'wonderland'],
  ['bob', 'pässwörd+&=% ✓'],
]);

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export function registerGrants(provider, issuer) {
  const keys = publicKeys();
  const spent = new Set(); // the `jti` of assertions: each is good once

  provider.registerGrantType('password', password, ['username', 'password', 'scope']);
  provider.registerGrantType(JWT_BEARER, jwtBearer, ['assertion', 'scope']);
  provider.registerGrantType(
    TOKEN_EXCHANGE,
    tokenExchange,
    [
      'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type',
      'requested_token_type', 'audience', 'resource', 'scope',
    ],
    ['audience', 'resource'],
  );

  // RFC 6749 §4.3. Without a `scope`, a refresh token comes along, as it does from most servers that
  // still offer this grant; with one, only if it names `offline_access`.
  async function password(ctx) {
    const { username, password, scope } = ctx.oidc.params;
    if (username === undefined || password === undefined) {
      throw new errors.InvalidRequest('username and password are required');
    }
    if (PASSWORDS.get(username) !== password) {
      throw new errors.InvalidGrant('wrong username or password');
    }
    await issue(ctx, username, 'password', known(scope ?? 'offline_access'));
  }

  // RFC 7523 §2.1, for what the client with the keys signs about somebody who lives here.
  async function jwtBearer(ctx) {
    const { assertion, scope } = ctx.oidc.params;
    if (assertion === undefined) throw new errors.InvalidRequest('assertion is required');
    const claims = await verified(assertion);
    if (!PASSWORDS.has(claims.sub)) throw new errors.InvalidGrant('nobody of that name');
    if (claims.jti === undefined || spent.has(claims.jti)) {
      throw new errors.InvalidGrant('an assertion is good once');
    }
    spent.add(claims.jti);
    await issue(ctx, claims.sub, 'jwt-bearer', known(scope ?? 'api:read'));
  }

  async function verified(assertion) {
    try {
      const { alg } = decodeProtectedHeader(assertion);
      return (await jwtVerify(assertion, keys.get(alg === 'PS256' ? 'RS256' : alg), {
        audience: [issuer, `${issuer}/token`],
        requiredClaims: ['iss', 'sub', 'exp'],
      })).payload;
    } catch {
      throw new errors.InvalidGrant('the assertion is not acceptable');
    }
  }

  // RFC 8693, from access tokens to access tokens.
  async function tokenExchange(ctx) {
    const { params } = ctx.oidc;
    if (params.subject_token === undefined || params.subject_token_type === undefined) {
      throw new errors.InvalidRequest('subject_token and subject_token_type are required');
    }
    if ((params.actor_token === undefined) !== (params.actor_token_type === undefined)) {
      throw new errors.InvalidRequest('actor_token and actor_token_type come together');
    }
    if (![ACCESS_TOKEN, undefined].includes(params.requested_token_type)) {
      throw new errors.InvalidRequest('only access tokens can be had');
    }
    const subject = await owner(params.subject_token, params.subject_token_type);
    if (params.actor_token !== undefined) await owner(params.actor_token, params.actor_token_type);
    const answer = { issued_token_type: ACCESS_TOKEN };
    await issue(ctx, subject, 'token-exchange', known(params.scope ?? 'api:read'), answer);
  }

  async function owner(token, type) {
    if (type !== ACCESS_TOKEN) throw new errors.InvalidRequest('only access tokens can be exchanged');
    const found = await provider.AccessToken.find(token);
    if (found === undefined || found.isExpired) throw new errors.InvalidRequest('that token is not good');
    return found.accountId;
  }

  async function issue(ctx, accountId, gty, scopes, more = {}) {
    const { client } = ctx.oidc;
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    grant.addOIDCScope(scopes.join(' '));
    const grantId = await grant.save();
    const origin = { accountId, client, grantId, gty, scope: scopes.join(' ') };

    const access = new provider.AccessToken(origin);
    ctx.body = {
      access_token: await access.save(),
      token_type: access.tokenType,
      expires_in: access.expiration,
      scope: origin.scope,
      ...more,
    };
    if (scopes.includes('offline_access')) {
      ctx.body.refresh_token = await new provider.RefreshToken({ ...origin, rotations: 0 }).save();
    }
  }
}

function known(scope) {
  const scopes = scope.split(' ').filter(Boolean);
  const unknown = scopes.find((name) => !SCOPES.includes(name));
  if (unknown !== undefined) throw new errors.InvalidScope('no such scope', unknown);
  return scopes;
}
