// A real authorization server for the interop tests.
//
// Everything here is the stock behaviour of `oidc-provider`, with two additions that are ours: the
// grants of `grants.mjs`, which the package leaves to its users, and the counters under `/_stats`, by
// which a test sees how many token requests really arrived. Counters are kept per client, so that tests
// that run side by side with different clients do not disturb each other.
//
//   PORT                         where to listen on 127.0.0.1; required
//   CLIENT_KEYS                  the folder of the keys of the client that signs; without it there is none
//   ACCESS_TOKEN_TTL             seconds, 300
//   REFRESH_TOKEN_TTL            seconds, 3600
//   AUTHORIZATION_CODE_TTL       seconds, 60
//   DEVICE_CODE_TTL              seconds, 120
//   ROTATE_REFRESH_TOKENS        1 (a spent refresh token revokes its family) or 0
//   DPOP_NONCE                   1 (every DPoP proof needs a nonce of ours) or 0
//
// A person logs in at its own pages, as alice or bob; any password will do there.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';
import { CLIENTS, SCOPES, SHORT_LIVED } from './clients.mjs';
import { PASSWORDS, registerGrants } from './grants.mjs';

const port = setting('PORT');
const issuer = `http://127.0.0.1:${port}`;
const accessTokenTtl = setting('ACCESS_TOKEN_TTL', 300);
const refreshTokenTtl = setting('REFRESH_TOKEN_TTL', 3600);
const authorizationCodeTtl = setting('AUTHORIZATION_CODE_TTL', 60);
const deviceCodeTtl = setting('DEVICE_CODE_TTL', 120);
const rotate = setting('ROTATE_REFRESH_TOKENS', 1) !== 0;
const nonceIsRequired = setting('DPOP_NONCE', 0) !== 0;

const DAY = 24 * 3600;

// RFC 8707. Only these exist, and tokens for them are good for nothing else, userinfo included.
const RESOURCES = ['https://calendar.example.test/', 'https://mail.example.test/'];

const ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

const counts = new Map();

const provider = new Provider(issuer, {
  clients: CLIENTS,
  scopes: SCOPES,
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  jwks: { keys: [signingKey()] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none',
  ],
  enabledJWA: {
    clientAuthSigningAlgValues: ['HS256', ...ALGORITHMS],
    dPoPSigningAlgValues: ALGORITHMS,
  },
  // The package's default keeps an expired token good for another 15 s, which hides mistakes.
  clockTolerance: 0,
  pkce: { required: () => true }, // it knows no method but S256
  rotateRefreshToken: rotate,
  ttl: {
    AccessToken: shortFor(accessTokenTtl),
    ClientCredentials: shortFor(accessTokenTtl),
    AuthorizationCode: shortFor(authorizationCodeTtl),
    DeviceCode: shortFor(deviceCodeTtl),
    RefreshToken: refreshTokenTtl,
    IdToken: accessTokenTtl,
    Grant: DAY,
    Interaction: DAY,
    Session: DAY,
  },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => nonceIsRequired },
    introspection: { enabled: true, allowedPolicy: () => true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, asking, oneOf) => oneOf?.[0],
      getResourceServerInfo: resourceServer,
      useGrantedResource: () => true,
    },
    revocation: { enabled: true, allowedPolicy: (ctx, asking, token) => token.clientId === asking.clientId },
    userinfo: { enabled: true },
  },
  findAccount: (ctx, id) => (PASSWORDS.has(id) ? { accountId: id, claims: () => claimsOf(id) } : undefined),
});

registerGrants(provider, issuer);
provider.use(countTokenRequests);
provider.listen(port, '127.0.0.1', () => console.log(`listening at ${issuer}`));

function claimsOf(id) {
  return { sub: id, email: `${id}@example.test`, email_verified: true };
}

function resourceServer(ctx, resource) {
  if (!RESOURCES.includes(resource)) throw new errors.InvalidTarget();
  return { audience: resource, scope: 'api:read api:write', accessTokenTTL: accessTokenTtl };
}

function shortFor(seconds) {
  return (ctx, token, asking) => (asking?.clientId === SHORT_LIVED ? 1 : seconds);
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
