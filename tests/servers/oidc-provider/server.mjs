// A real authorization server for the interop tests.
//
// Everything here is the stock behaviour of `oidc-provider`, with two additions that are ours: the
// password grant, which the package leaves to its users, and the counters under `/_stats`, by which a
// test sees how many token requests really arrived. Counters are kept per client, so that tests that
// run side by side with different clients do not disturb each other.
//
//   PORT                         where to listen on 127.0.0.1; required
//   ACCESS_TOKEN_TTL             seconds, 300
//   REFRESH_TOKEN_TTL            seconds, 3600
//   ROTATE_REFRESH_TOKENS        1 (a spent refresh token revokes its family) or 0

import { generateKeyPairSync } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

const port = setting('PORT');
const issuer = `http://127.0.0.1:${port}`;
const accessTokenTtl = setting('ACCESS_TOKEN_TTL', 300);
const refreshTokenTtl = setting('REFRESH_TOKEN_TTL', 3600);
const rotate = setting('ROTATE_REFRESH_TOKENS', 1) !== 0;

const SCOPES = ['openid', 'offline_access', 'api:read', 'api:write'];

const PASSWORDS = new Map([
  ['alice', 'wonderland'],
  ['bob', 'pässwörd+&=% ✓'],
]);

const CLIENTS = [
  client('basic', 'basic-secret', 'client_secret_basic'),
  client('post', 'post-secret', 'client_secret_post'),
  // Only a client that percent-encodes both halves (RFC 6749 §2.3.1) gets in here.
  client('we:ird client', 'p%40ss w+rd:&=/?', 'client_secret_basic'),
  client('public', undefined, 'none'),
];

const counts = new Map();

const provider = new Provider(issuer, {
  clients: CLIENTS,
  scopes: SCOPES,
  jwks: { keys: [signingKey()] },
  cookies: { keys: ['no browser ever comes here'] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
  // The package's default keeps an expired token good for another 15 s, which hides mistakes.
  clockTolerance: 0,
  rotateRefreshToken: rotate,
  ttl: {
    AccessToken: accessTokenTtl,
    ClientCredentials: accessTokenTtl,
    RefreshToken: refreshTokenTtl,
    IdToken: accessTokenTtl,
    Grant: 24 * 3600,
  },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: (ctx, asking, token) => token.clientId === asking.clientId },
  },
  findAccount: (ctx, id) => (PASSWORDS.has(id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
});

provider.registerGrantType('password', passwordGrant, ['username', 'password', 'scope']);
provider.use(countTokenRequests);
provider.listen(port, '127.0.0.1', () => console.log(`listening at ${issuer}`));

// RFC 6749 §4.3. Without a `scope`, a refresh token comes along, as it does from most servers that
// still offer this grant; with one, only if it names `offline_access`.
async function passwordGrant(ctx) {
  const { username, password, scope } = ctx.oidc.params;
  if (username === undefined || password === undefined) {
    throw new errors.InvalidRequest('username and password are required');
  }
  if (PASSWORDS.get(username) !== password) {
    throw new errors.InvalidGrant('wrong username or password');
  }
  const scopes = (scope ?? 'offline_access').split(' ').filter(Boolean);
  const unknown = scopes.find((name) => !SCOPES.includes(name));
  if (unknown !== undefined) {
    throw new errors.InvalidScope('no such scope', unknown);
  }

  const { client: asking } = ctx.oidc;
  const grant = new provider.Grant({ accountId: username, clientId: asking.clientId });
  grant.addOIDCScope(scopes.join(' '));
  const grantId = await grant.save();
  const origin = { accountId: username, client: asking, grantId, gty: 'password', scope: scopes.join(' ') };

  const access = new provider.AccessToken(origin);
  ctx.body = {
    access_token: await access.save(),
    token_type: access.tokenType,
    expires_in: access.expiration,
    scope: origin.scope,
  };
  if (scopes.includes('offline_access')) {
    ctx.body.refresh_token = await new provider.RefreshToken({ ...origin, rotations: 0 }).save();
  }
}

// GET /_stats is `{"<client id>": {"<grant> <status>": n}}`; GET /_reset forgets all of it, or one
// client's share with `?client=<id>`.
async function countTokenRequests(ctx, next) {
  if (ctx.path === '/_stats') {
    ctx.body = Object.fromEntries(counts);
    return;
  }
  if (ctx.path === '/_reset') {
    if (ctx.query.client === undefined) counts.clear();
    else counts.delete(ctx.query.client);
    ctx.body = {};
    return;
  }
  await next();
  if (ctx.path !== '/token') return;
  const who = ctx.oidc?.client?.clientId ?? 'unknown';
  const what = `${ctx.oidc?.params?.grant_type ?? 'unknown'} ${ctx.status}`;
  const share = counts.get(who) ?? {};
  share[what] = (share[what] ?? 0) + 1;
  counts.set(who, share);
}

function client(id, secret, method) {
  return {
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: method,
    grant_types: ['client_credentials', 'password', 'refresh_token'],
    response_types: [],
    redirect_uris: [],
    scope: SCOPES.join(' '),
  };
}

// A key of this run only: nothing outlives the server.
function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'run' };
}

function setting(name, otherwise) {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isInteger(value)) throw new Error(`${name} must be a whole number`);
  return value;
}
