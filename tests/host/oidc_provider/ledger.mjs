/*
 * The ledger: what really happened at the token endpoint, told from the inside.
 *
 * Promises: every moment is CLOCK_MONOTONIC in nanoseconds (process.hrtime on Linux), so it compares with Python's
 * time.monotonic_ns() of the same boot. A token appears only as its fingerprint: the first 16 hex digits of SHA-256.
 *
 * call   one request to the token endpoint:
 *        received_ns  its headers were read
 *        consumed_ns  the presented refresh token was marked spent       <- from here the old token burns the grant
 *        rotated_ns   the successor was stored                           <- the commit
 *        answered_ns  the answer was complete, before the delay "after"
 *        finished_ns  the last byte was handed to the kernel; null when the client had gone
 *        aborted_ns   the connection closed before that
 * grant  one lineage of refresh tokens; `live` is the only token that may still be presented.
 *
 * Must not: decide anything about a request. The provider decides, the ledger writes down.
 */
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';

export const now = () => Number(process.hrtime.bigint());

export const fingerprint = (token) => createHash('sha256').update(token).digest('hex').slice(0, 16);

const STAGES = ['received', 'consumed', 'rotated', 'answered', 'finished', 'aborted'];

export class Ledger {
  #events = new EventEmitter().setMaxListeners(0);

  calls = [];

  grants = new Map();

  tokens = new Map();

  requests = {};

  byGrantType = {};

  request(route) {
    this.requests[route] = (this.requests[route] ?? 0) + 1;
  }

  open() {
    const call = {
      seq: this.calls.length + 1, grant_type: null, grant_id: null, presented: null, issued: null, reuse: false, status: null, error: null,
    };
    for (const stage of STAGES) call[`${stage}_ns`] = null;
    this.calls.push(call);
    this.stamp(call, 'received');
    return call;
  }

  stamp(call, stage) {
    call[`${stage}_ns`] = now();
    this.#events.emit(stage, call);
  }

  answered(call, grantType, status, error) {
    call.grant_type = grantType ?? '';
    call.status = status;
    call.error = error ?? null;
    this.byGrantType[call.grant_type] = (this.byGrantType[call.grant_type] ?? 0) + 1;
    this.stamp(call, 'answered');
  }

  presented(call, id, payload) {
    const token = this.tokens.get(fingerprint(id));
    call.presented = fingerprint(id);
    if (!token) return;
    token.presented += 1;
    call.grant_id = token.grant_id;
    if (token.consumed_ns === null) return;
    call.reuse = true;
    const grant = this.grants.get(token.grant_id);
    grant.reuses.push({ seq: call.seq, fingerprint: token.fingerprint, at_ns: now(), still_known: payload !== undefined });
  }

  stored(call, id, payload) {
    const print = fingerprint(id);
    if (this.tokens.has(print)) return;
    const token = { fingerprint: print, grant_id: payload.grantId, issued_ns: now(), consumed_ns: null, presented: 0 };
    this.tokens.set(print, token);
    const grant = this.#grant(payload);
    grant.tokens.push(token);
    grant.live = print;
    if (!call) return;
    call.issued = print;
    call.grant_id = payload.grantId;
    if (call.consumed_ns === null) return;
    this.stamp(call, 'rotated');
    grant.rotations.push({ seq: call.seq, spent: call.presented, issued: print, consumed_ns: call.consumed_ns, rotated_ns: call.rotated_ns });
  }

  consumed(call, id) {
    const token = this.tokens.get(fingerprint(id));
    if (token) token.consumed_ns = now();
    if (call) this.stamp(call, 'consumed');
  }

  revoked(call, grantId, reason) {
    const grant = this.grants.get(grantId);
    if (!grant || grant.revoked_ns !== null) return;
    grant.revoked_ns = now();
    grant.revoked_because = call?.reuse ? 'reuse' : reason;
    grant.live = null;
  }

  /* The first call after `after` that reached `stage`, or null when `timeoutMs` passed. */
  wait(stage, after, timeoutMs) {
    if (!STAGES.includes(stage)) throw new RangeError(`stage must be one of ${STAGES.join(', ')}`);
    const past = this.calls.find((call) => call.seq > after && call[`${stage}_ns`] !== null);
    if (past) return Promise.resolve(past);
    return new Promise((resolve) => {
      const settle = (call) => {
        if (call !== null && call.seq <= after) return;
        clearTimeout(timer);
        this.#events.off(stage, settle);
        resolve(call);
      };
      const timer = setTimeout(settle, timeoutMs, null);
      this.#events.on(stage, settle);
    });
  }

  #grant(payload) {
    let grant = this.grants.get(payload.grantId);
    if (!grant) {
      grant = {
        grant_id: payload.grantId, client_id: payload.clientId, account_id: payload.accountId, opened_ns: now(), live: null,
        tokens: [], rotations: [], reuses: [], revoked_ns: null, revoked_because: null,
      };
      this.grants.set(payload.grantId, grant);
    }
    return grant;
  }
}
