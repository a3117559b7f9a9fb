/*
 * The control port: loopback HTTP, JSON in, JSON out. For the test harness only; it never touches the token endpoint.
 *
 * GET  /counters            requests by route, token requests by grant_type, number of calls
 * GET  /grants[/{id}]       the ledger's grants
 * GET  /calls?after=N       the ledger's calls with seq > N
 * POST /mint                {client_id, account_id, scope} -> {grant_id, refresh_token, fingerprint}
 * POST /token_state         {refresh_token} -> {state: live|spent|revoked|unknown, grant_id}; presents nothing
 * POST /revoke              {grant_id}
 * POST /delay               {before_ms, after_ms}: hold the token endpoint before the commit / after it, before the answer
 * POST /wait                {stage, after, timeout_ms} -> {call} or {call: null}
 */
import { createServer } from 'node:http';

import { fingerprint } from './ledger.mjs';

class Refusal extends Error {}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length ? JSON.parse(Buffer.concat(chunks).toString('utf8')) : {};
}

export function createControl({ provider, ledger, store, delay }) {
  async function mint({ client_id: clientId, account_id: accountId, scope = 'openid offline_access' }) {
    const client = await provider.Client.find(clientId);
    if (!client || typeof accountId !== 'string') throw new Refusal('mint needs a known client_id and an account_id');
    const grant = new provider.Grant({ accountId, clientId });
    grant.addOIDCScope(scope);
    const grantId = await grant.save();
    const token = new provider.RefreshToken({
      accountId, client, grantId, gty: 'authorization_code', rotations: 0, scope, authTime: Math.floor(Date.now() / 1000),
    });
    const refreshToken = await token.save();
    return { grant_id: grantId, refresh_token: refreshToken, fingerprint: fingerprint(refreshToken) };
  }

  function tokenState({ refresh_token: refreshToken }) {
    const token = ledger.tokens.get(fingerprint(refreshToken ?? ''));
    if (!token) return { state: 'unknown', grant_id: null };
    const grant = ledger.grants.get(token.grant_id);
    const unspent = grant.revoked_ns === null ? 'live' : 'revoked';
    return { state: token.consumed_ns === null ? unspent : 'spent', grant_id: token.grant_id };
  }

  async function revoke({ grant_id: grantId }) {
    if (!ledger.grants.has(grantId)) throw new Refusal('no such grant');
    ledger.revoked(undefined, grantId, 'control');
    for (const name of ['RefreshToken', 'AccessToken']) await new store.Adapter(name).revokeByGrantId(grantId);
    await new store.Adapter('Grant').destroy(grantId);
    return {};
  }

  function setDelay({ before_ms: beforeMs = 0, after_ms: afterMs = 0 }) {
    if (![beforeMs, afterMs].every((ms) => Number.isFinite(ms) && ms >= 0)) throw new Refusal('delays are milliseconds, 0 or more');
    delay.before_ms = beforeMs;
    delay.after_ms = afterMs;
    return { ...delay };
  }

  const posts = {
    '/mint': mint,
    '/token_state': tokenState,
    '/revoke': revoke,
    '/delay': setDelay,
    '/wait': async ({ stage, after = 0, timeout_ms: timeoutMs = 10_000 }) => ({ call: await ledger.wait(stage, after, timeoutMs) }),
  };

  function read(url) {
    const [, kind, id] = url.pathname.split('/');
    if (kind === 'counters') return { requests: ledger.requests, token_by_grant_type: ledger.byGrantType, token_calls: ledger.calls.length };
    if (kind === 'calls') return { calls: ledger.calls.slice(Number(url.searchParams.get('after') ?? 0)) };
    if (kind === 'grants' && id === undefined) return { grants: [...ledger.grants.values()] };
    if (kind === 'grants' && ledger.grants.has(id)) return ledger.grants.get(id);
    throw new Refusal('no such page');
  }

  async function answer(request) {
    const url = new URL(request.url, 'http://control');
    if (request.method === 'GET') return read(url);
    const act = posts[url.pathname];
    if (request.method !== 'POST' || !act) throw new Refusal('no such page');
    return act(await body(request));
  }

  return createServer(async (request, response) => {
    let status = 200;
    let result;
    try {
      result = await answer(request);
    } catch (error) {
      status = error instanceof Refusal || error instanceof RangeError || error instanceof SyntaxError ? 400 : 500;
      result = { error: error.message };
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(result));
  });
}
