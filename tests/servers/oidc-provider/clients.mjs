// Who may ask for tokens. What they authenticate with is no secret: they exist on this machine only.

import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

export const SCOPES = ['openid', 'offline_access', 'email', 'api:read', 'api:write'];

// Every token, code and device code that this one gets is good for a second or two.
export const SHORT_LIVED = 'short-lived';

export const CLIENTS = [
  client('basic', 'client_secret_basic', { client_secret: 'basic-secret' }),
  client('post', 'client_secret_post', { client_secret: 'post-secret' }),
  // Only a client that percent-encodes both halves (RFC 6749 §2.3.1) gets in here.
  client('we:ird client', 'client_secret_basic', { client_secret: 'p%40ss w+rd:&=/?' }),
  client('public', 'none'),
  client(SHORT_LIVED, 'client_secret_basic', { client_secret: 'short-lived-secret' }),
  client('pushes', 'client_secret_basic', {
    client_secret: 'pushes-secret',
    require_pushed_authorization_requests: true,
  }),
  client('mac', 'client_secret_jwt', { client_secret: 'a secret of at least thirty-two bytes' }),
  client('dpop', 'client_secret_basic', { client_secret: 'dpop-secret', dpop_bound_access_tokens: true }),
  client('public dpop', 'none', { dpop_bound_access_tokens: true }),
  ...keyHolders(),
];

// The public keys of the client that signs, by algorithm; none without CLIENT_KEYS.
export function publicKeys() {
  const folder = process.env.CLIENT_KEYS;
  if (folder === undefined) return new Map();
  return new Map(['ES256', 'RS256', 'EdDSA'].map((algorithm) => (
    [algorithm, createPublicKey(readFileSync(`${folder}/${algorithm}.pem`))]
  )));
}

// RFC 7523 §2.2. The RSA key names no algorithm, because it is there for RS256 and for PS256.
function keyHolders() {
  const keys = [...publicKeys().values()].map((key) => ({ ...key.export({ format: 'jwk' }), use: 'sig' }));
  return keys.length === 0 ? [] : [client('key', 'private_key_jwt', { jwks: { keys } })];
}

// A native client, so that its loopback redirects may have any port (RFC 8252 §7.3).
function client(id, method, more = {}) {
  return {
    client_id: id,
    token_endpoint_auth_method: method,
    application_type: 'native',
    grant_types: [
      'authorization_code', 'client_credentials', 'password', 'refresh_token',
      DEVICE_CODE, JWT_BEARER, TOKEN_EXCHANGE,
    ],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', 'https://app.example.test/callback'],
    scope: SCOPES.join(' '),
    ...more,
  };
}
