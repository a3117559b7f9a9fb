/*
 * npm's oidc-provider on loopback, as strict as it comes: every refresh rotates, reuse of a spent token revokes the grant.
 *
 * Start: the first line of standard input is a JSON object of settings (see DEFAULTS). One JSON line with the ports and the
 * clients is printed when both servers listen. The process ends when its standard input ends, so it never outlives the
 * harness. Everything is kept in memory and gone afterwards.
 *
 * Two clients, both native applications (RFC 8252: any port on http://127.0.0.1): `confidential` (client_secret_basic) and
 * `public` (no secret, PKCE required). offline_access is granted only to an authorization request with prompt=consent.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { createControl } from './control.mjs';
import { Ledger } from './ledger.mjs';
import { createStore } from './store.mjs';

/* Standard output carries the ready line and nothing else; the provider's notices go to standard error. */
console.info = console.error;
console.log = console.error;

const { Provider } = await import('oidc-provider');

const DEFAULTS = {
  port: 0,
  control_port: 0,
  access_ttl_s: 60,
  refresh_ttl_s: 14 * 24 * 3600,
  device_ttl_s: 600,
  redirect_paths: ['/', '/callback'],
};

const GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'];

const TOKEN_PATH = '/token';

function clientsOf(settings) {
  const shared = {
    application_type: 'native',
    response_types: ['code'],
    redirect_uris: settings.redirect_paths.map((path) => `http://127.0.0.1${path}`),
  };
  return [
    { ...shared, client_id: 'confidential', client_secret: randomBytes(24).toString('base64url'), token_endpoint_auth_method: 'client_secret_basic', grant_types: GRANT_TYPES },
    { ...shared, client_id: 'public', token_endpoint_auth_method: 'none', grant_types: GRANT_TYPES.filter((type) => type !== 'client_credentials') },
  ];
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'bed', use: 'sig', alg: 'RS256' };
}

function createProvider(issuer, settings, clients, store) {
  return new Provider(issuer, {
    adapter: store.Adapter,
    clients,
    cookies: { keys: [randomBytes(24).toString('hex')] },
    jwks: { keys: [signingKey()] },
    rotateRefreshToken: true,
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    ttl: {
      AccessToken: settings.access_ttl_s,
      ClientCredentials: settings.access_ttl_s,
      AuthorizationCode: 60,
      DeviceCode: settings.device_ttl_s,
      Grant: settings.refresh_ttl_s,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: settings.refresh_ttl_s,
      Session: 3600,
    },
  });
}

/* The provider's own handler between two stamps of the ledger; `current` tells the store which call it works for. */
function createEntrance(provider, ledger, store, delay) {
  provider.use(async (ctx, next) => {
    await next();
    const call = store.current.getStore();
    if (!call) return;
    ledger.answered(call, ctx.oidc?.params?.grant_type, ctx.status, ctx.body?.error);
    if (delay.after_ms > 0) await sleep(delay.after_ms);
  });
  const handle = provider.callback();
  return (request, response) => {
    const route = new URL(request.url, provider.issuer).pathname;
    ledger.request(route.replace(/\/[\w-]{40,}/g, '/:id'));
    if (route !== TOKEN_PATH) return handle(request, response);
    const call = ledger.open();
    response.once('finish', () => ledger.stamp(call, 'finished'));
    response.once('close', () => call.finished_ns === null && ledger.stamp(call, 'aborted'));
    return store.current.run(call, () => handle(request, response));
  };
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });
}

async function main(settings) {
  const delay = { before_ms: 0, after_ms: 0 };
  const ledger = new Ledger();
  const store = createStore(ledger, delay);
  const clients = clientsOf(settings);
  const front = createServer();
  const port = await listen(front, settings.port);
  const issuer = `http://127.0.0.1:${port}`;
  const provider = createProvider(issuer, settings, clients, store);
  front.on('request', createEntrance(provider, ledger, store, delay));
  const controlPort = await listen(createControl({ provider, ledger, store, delay }), settings.control_port);
  const secrets = Object.fromEntries(clients.map((client) => [client.client_id, client.client_secret ?? null]));
  process.stdout.write(`${JSON.stringify({ pid: process.pid, issuer, port, control_port: controlPort, clients: secrets })}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => main({ ...DEFAULTS, ...JSON.parse(line) }));
lines.once('close', () => process.exit(0));
