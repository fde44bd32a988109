import type { Redis } from 'ioredis';
import type { ApiKey } from '../gateway/api-key.ts';
import type { KeyStore } from '../gateway/keys.ts';
import type { Keys } from './keys.ts';

/**
 * Replaces a key that is still as it was read, and its digests with it, and tells everybody, in one step.
 *
 * KEYS: apiKeys, apiKeyDigests. ARGV: id, JSON before (empty: must not be there), JSON after, channel,
 * number of digests that go, those, then those that come.
 */
const REPLACE = `
local before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if before ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local going = tonumber(ARGV[5])
for i = 6, 5 + going do redis.call('HDEL', KEYS[2], ARGV[i]) end
for i = 6 + going, #ARGV do redis.call('HSET', KEYS[2], ARGV[i], ARGV[1]) end
redis.call('PUBLISH', ARGV[4], 'key:' .. ARGV[1])
return 1`;

interface Replacing {
  replaceApiKey(...args: (string | number)[]): Promise<number>;
}

/** API keys in Redis: of a secret only its digest. */
export function keyStore(redis: Redis, keys: Keys): KeyStore {
  redis.defineCommand('replaceApiKey', { numberOfKeys: 2, lua: REPLACE });
  const scripted = redis as unknown as Replacing;

  async function replace(before: ApiKey | undefined, after: ApiKey): Promise<boolean> {
    const going = digestsOf(before).filter((digest) => !digestsOf(after).includes(digest));
    const json = [before ? JSON.stringify(before) : '', JSON.stringify(after)];
    const { apiKeys, apiKeyDigests, changed } = keys;
    const names = [apiKeys, apiKeyDigests];
    const digests = [going.length, ...going, ...digestsOf(after)];
    return (await scripted.replaceApiKey(...names, after.id, ...json, changed, ...digests)) === 1;
  }

  async function find(id: string): Promise<ApiKey | undefined> {
    const json = await redis.hget(keys.apiKeys, id);
    return json ? (JSON.parse(json) as ApiKey) : undefined;
  }

  return {
    find,
    replace,
    async add(key) {
      if (!(await replace(undefined, key))) throw new Error(`The key ${key.id} is there already`);
    },
    async findByDigest(digest) {
      const id = await redis.hget(keys.apiKeyDigests, digest);
      return id ? find(id) : undefined;
    },
    async list() {
      return (await redis.hvals(keys.apiKeys)).map((json) => JSON.parse(json) as ApiKey);
    },
    async forget(key) {
      const { apiKeys, apiKeyDigests, apiKeyUses, changed } = keys;
      const { webhooks } = keys;
      const digests = digestsOf(key);
      const owned = await redis.zrange(webhooks.ofCaller(key.id), '0', '-1');
      const all = redis.multi().hdel(apiKeys, key.id).hdel(apiKeyUses, key.id).del(webhooks.ofCaller(key.id));
      for (const id of owned) all.del(webhooks.webhook(id), webhooks.deliveries(id)).hdel(webhooks.all, id);
      if (owned.length > 0) all.publish(webhooks.channel, 'callers');
      if (digests.length > 0) all.hdel(apiKeyDigests, ...digests);
      await all.publish(changed, `key:${key.id}`).exec();
    },
    noteUse: (id, at) => redis.hset(keys.apiKeyUses, id, String(at)),
    async lastUses() {
      const uses = await redis.hgetall(keys.apiKeyUses);
      return new Map(Object.entries(uses).map(([id, at]) => [id, Number(at)]));
    },
  };
}

function digestsOf(key: ApiKey | undefined): string[] {
  return key?.secrets.map(({ digest }) => digest) ?? [];
}

/** Who believes what it knows of keys as long as it hears of their changes. */
export interface KeyListener {
  forget(id: string): void;
  trust(heard: boolean): void;
}

/** @param subscriber may be the one that hears of messages too */
export function watchKeys(subscriber: Redis, { changed }: Keys, listener: KeyListener): void {
  subscriber.on('message', (channel: string, payload: string) => {
    if (channel === changed && payload.startsWith('key:')) listener.forget(payload.slice('key:'.length));
  });
  subscriber.on('close', () => listener.trust(false));
  // Connected is not subscribed: what is told before the server has taken in the subscription goes unheard.
  const listen = () => {
    subscriber.subscribe(changed).then(
      () => listener.trust(subscriber.status === 'ready'),
      () => undefined,
    );
  };
  subscriber.on('ready', listen);
  if (subscriber.status === 'ready') listen();
}
