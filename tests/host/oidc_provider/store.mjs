/*
 * The provider's store: one plain Map per model, for the life of the process.
 *
 * The packaged memory adapter forgets after 1000 entries, which would look like lost tokens. Nothing is evicted here.
 * It also reports to the ledger what happens to refresh tokens, and holds a request to the token endpoint back where the
 * delay "before the commit" was asked for: after the body was read, so that the service commits even if the client dies.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const DELAYED = new Set(['AuthorizationCode', 'DeviceCode', 'RefreshToken']);

export function createStore(ledger, delay) {
  const current = new AsyncLocalStorage();
  const models = new Map();
  const byUid = new Map();
  const byUserCode = new Map();

  const model = (name) => {
    if (!models.has(name)) models.set(name, new Map());
    return models.get(name);
  };

  class Adapter {
    constructor(name) {
      this.name = name;
      this.rows = model(name);
      this.watched = name === 'RefreshToken';
    }

    async upsert(id, payload) {
      this.rows.set(id, payload);
      if (payload.uid) byUid.set(payload.uid, id);
      if (payload.userCode) byUserCode.set(payload.userCode, id);
      if (this.watched) ledger.stored(current.getStore(), id, payload);
    }

    async find(id) {
      const call = current.getStore();
      if (call && DELAYED.has(this.name)) {
        if (delay.before_ms > 0) await sleep(delay.before_ms);
        if (this.watched) ledger.presented(call, id, this.rows.get(id));
      }
      return this.rows.get(id);
    }

    async findByUid(uid) {
      return this.rows.get(byUid.get(uid));
    }

    async findByUserCode(userCode) {
      return this.rows.get(byUserCode.get(userCode));
    }

    async consume(id) {
      this.rows.get(id).consumed = Math.floor(Date.now() / 1000);
      if (this.watched) ledger.consumed(current.getStore(), id);
    }

    async destroy(id) {
      this.rows.delete(id);
    }

    async revokeByGrantId(grantId) {
      for (const [id, payload] of this.rows) if (payload.grantId === grantId) this.rows.delete(id);
      if (this.watched) ledger.revoked(current.getStore(), grantId, 'revocation');
    }
  }

  return { Adapter, current, rows: model };
}
