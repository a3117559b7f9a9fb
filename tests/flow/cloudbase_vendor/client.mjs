// Signs in at the sandbox with the vendor's browser client, each way once, and with tickets of its server client.
// Standard input: {"base_url", "control_url", "key"}. Standard output: one JSON object, what each step brought.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(import.meta.url);
const { CloudbaseOAuth } = require("@cloudbase/oauth");
const tcb = require("@cloudbase/node-sdk");

const ENV = "sandbox-env";
const given = JSON.parse(await text(process.stdin));

class Memory {
  #items = new Map();
  getItemSync(key) { return this.#items.get(key) ?? null; }
  setItemSync(key, value) { this.#items.set(key, value); }
  removeItemSync(key) { this.#items.delete(key); }
  async getItem(key) { return this.getItemSync(key); }
  async setItem(key, value) { this.setItemSync(key, value); }
  async removeItem(key) { this.removeItemSync(key); }
}

// What the vendor's adapters for platforms do: JSON out, JSON in, an error thrown.
async function baseRequest(url, options = {}) {
  const headers = { "Content-Type": "application/json", ...options.headers };
  delete headers.undefined;
  const body = options.body && JSON.stringify(options.body);
  const reply = await fetch(url, { method: options.method ?? "GET", headers, body });
  const answer = await reply.json();
  if (answer.error) throw answer;
  return answer;
}

// In the person's place: the control port knows what the picture shows.
let challenges = 0;
async function openURIWithCallback(uri) {
  challenges += 1;
  const token = new URLSearchParams(uri.slice(uri.indexOf("?"))).get("token");
  const waiting = (await (await fetch(`${given.control_url}/cloudbase/captchas`)).json()).captchas;
  const body = { token, key: waiting.at(-1).answer };
  return baseRequest(`${given.base_url}/auth/v1/captcha/data/verify?client_id=${ENV}`, { method: "POST", body });
}

function client() {
  const storage = new Memory();
  const captchaOptions = { storage, openURIWithCallback };
  const place = { apiOrigin: given.base_url, clientId: ENV, env: ENV };
  return new CloudbaseOAuth({ ...place, storage, baseRequest, captchaOptions });
}

async function errorOf(step) {
  try {
    await step();
    return null;
  } catch (refusal) {
    return refusal.error;
  }
}

async function session(signIn) {
  const one = client();
  await signIn(one.authApi);
  const before = await one.oauth2client.localCredentials.getCredentials();
  const after = await one.oauth2client.refreshToken(before);
  const me = await one.authApi.getUserInfo();
  return {
    rotated: before.refresh_token !== after.refresh_token,
    same_user: before.sub === after.sub && me.sub === after.sub,
    scope: after.scope,
    expires_in: after.expires_in,
    spent: await errorOf(() => client().oauth2client.refreshToken(before, { throwError: true })),
    signed_out: await errorOf(() => one.authApi.signOut()),
    over: await errorOf(() => client().oauth2client.refreshToken(after, { throwError: true })),
  };
}

const ticket = tcb.init({ env: ENV, credentials: given.key }).auth().createTicket("custom-user-1");
const told = {
  anonymous: await session((auth) => auth.signInAnonymously()),
  password: await session((auth) => auth.signIn({ username: "ann", password: "right" })),
  custom: await session((auth) => auth.signInCustom({ provider_id: "custom", ticket })),
};
const wrong = () => client().authApi.signIn({ username: "ann", password: "wrong" });
told.wrong = [];
for (let count = 0; count < 5; count += 1) told.wrong.push(await errorOf(wrong));
told.challenges_before = challenges;
told.right = await errorOf(() => client().authApi.signIn({ username: "ann", password: "right" }));
told.challenges = challenges;
console.log(JSON.stringify(told));
process.exit(0);
