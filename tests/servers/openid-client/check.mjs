// openid-client as a user of the fake server, with its own defaults: TLS, discovery, ID tokens
// verified with the published keys. A step that fails throws, and that is the report.
import assert from 'node:assert/strict';
import * as client from 'openid-client';

const { ISSUER, ADMIN } = process.env;
const REDIRECT_URI = 'https://app.example/callback';

async function order(command, body) {
  const headers = { 'content-type': 'application/json' };
  const request = { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await fetch(`${ADMIN}/${command}`, request);
  assert.equal(answer.status, 200, `${command}: ${await answer.clone().text()}`);
  return answer.json();
}

async function visit(url) {
  const page = await fetch(url, { redirect: 'manual' });
  assert.equal(page.status, 302, await page.clone().text());
  return new URL(page.headers.get('location'));
}

async function logIn(config, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid email offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    ...parameters,
  });
  const callback = await visit(url);
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
  return client.authorizationCodeGrant(config, callback, checks);
}

const authentications = {
  web: client.ClientSecretBasic('hunter2'),
  post: client.ClientSecretPost('hunter2'),
  app: client.None(),
};

for (const [id, authentication] of Object.entries(authentications)) {
  const config = await client.discovery(new URL(ISSUER), id, undefined, authentication);
  client.enableNonRepudiationChecks(config); // verifies signatures although the answer came by TLS
  const tokens = await logIn(config);
  assert.equal(tokens.claims().sub, 'alice');
  const person = await client.fetchUserInfo(config, tokens.access_token, 'alice');
  assert.equal(person.email, 'alice@example.com');
  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  assert.equal(renewed.claims().sub, 'alice');
  await client.tokenRevocation(config, renewed.refresh_token);
  const revoked = client.refreshTokenGrant(config, renewed.refresh_token);
  await assert.rejects(revoked, { error: 'invalid_grant' });
  console.log(`openid-client: ${id} logs in, verifies the ID token, refreshes, revokes`);
}

for (const algorithm of ['ES256', 'EdDSA']) {
  const id = algorithm.toLowerCase();
  const metadata = { id_token_signed_response_alg: algorithm };
  const config = await client.discovery(new URL(ISSUER), id, metadata, client.None());
  client.enableNonRepudiationChecks(config);
  assert.equal((await logIn(config)).claims().sub, 'alice');
  console.log(`openid-client: an ID token signed with ${algorithm} is verified`);
}

const config = await client.discovery(new URL(ISSUER), 'web', undefined, authentications.web);
const machine = await client.clientCredentialsGrant(config, { scope: 'read' });
assert.equal(machine.token_type, 'bearer');
const known = await client.tokenIntrospection(config, machine.access_token);
assert.deepEqual([known.active, known.client_id], [true, 'web']);
console.log('openid-client: client credentials, introspection');

await order('decisions', { decision: 'decline' });
await assert.rejects(logIn(config), { error: 'access_denied' });
await order('decisions', { decision: 'wrong_issuer' });
await assert.rejects(logIn(config), { code: 'OAUTH_INVALID_RESPONSE' });
console.log('openid-client: a login that is declined, and one of another issuer');

const device = await client.initiateDeviceAuthorization(config, { scope: 'openid' });
const polling = client.pollDeviceAuthorizationGrant(config, device);
await order('device', { user_code: device.user_code, approve: true });
assert.equal((await polling).claims().sub, 'alice');
console.log('openid-client: a device is approved');

const key = await client.randomDPoPKeyPair('ES256');
const DPoP = client.getDPoPHandle(config, key);
const bound = await client.clientCredentialsGrant(config, undefined, { DPoP });
assert.equal(bound.token_type, 'dpop');
const resource = await client.fetchProtectedResource(
  config, bound.access_token, new URL(`${ISSUER}/api`), 'GET', null, undefined, { DPoP });
assert.equal(resource.status, 200);
console.log('openid-client: a token that is bound to a key');

const registered = await client.dynamicClientRegistration(new URL(ISSUER), {
  redirect_uris: [REDIRECT_URI],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'client_secret_post',
});
assert.equal((await logIn(registered)).claims().sub, 'alice');
console.log('openid-client: a client that registers itself logs in');

await order('keys', { keep_published: false });
const fresh = await client.discovery(new URL(ISSUER), 'web', undefined, authentications.web);
client.enableNonRepudiationChecks(fresh);
assert.equal((await logIn(fresh)).claims().sub, 'alice');
console.log('openid-client: keys that were rotated');
