import { Redis } from 'ioredis';
import { vi } from 'vitest';

/** A day of a test: this process's clocks and timers, and the clock that our scripts read in Redis, go as it says. */
export interface StoodInClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Lets so much time pass, everywhere alike; what becomes due runs, and what it asks of sockets gets a moment for it. */
  pass(milliseconds: number): Promise<void>;
  /** Lets time pass until this is done. */
  passUntil<T>(done: Promise<T>): Promise<T>;
  /** Sets Redis's clock so much forward, or back; this process's go on as they were. */
  setRedis(milliseconds: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const KEY = '{stood-in-clock}';
const TIME = "redis.call('TIME')";
/** What Redis's `TIME` answers, by the clock of the test. */
const STOOD_IN = `(function()
  local at = tonumber(redis.call('GET', '${KEY}'))
  return { math.floor(at / 1000), (at % 1000) * 1000 }
end)()`;
/** For answers that are on their way over real sockets. */
const MOMENT_MILLISECONDS = 3;
/** While it is waited for what has timeouts of its own. */
const STEP_MILLISECONDS = 20;

/**
 * To be called before anything connects to this Redis. Everything else stays real: Redis itself, its expiries, and every
 * socket.
 */
export async function standInForTheClock(redisUrl: string): Promise<StoodInClock> {
  const later = setTimeout;
  const moment = () => new Promise<void>((resolve) => later(resolve, MOMENT_MILLISECONDS));
  let redisAhead = 0;
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'hrtime', 'Date'],
    now: Date.now(),
  });
  const define = Redis.prototype.defineCommand;
  const defining = vi.spyOn(Redis.prototype, 'defineCommand').mockImplementation(function (this: Redis, name, script) {
    define.call(this, name, { ...script, lua: script.lua.replaceAll(TIME, STOOD_IN) });
  });
  const telling = vi.spyOn(Redis.prototype, 'time').mockImplementation(async () => {
    const at = Date.now() + redisAhead;
    return [Math.floor(at / 1_000), (at % 1_000) * 1_000];
  });
  const redis = new Redis(redisUrl);
  const tell = () => redis.set(KEY, Date.now() + redisAhead);
  await tell();
  async function pass(milliseconds: number): Promise<void> {
    // Redis first: what becomes due must not find it behind.
    await redis.set(KEY, Date.now() + redisAhead + milliseconds);
    vi.advanceTimersByTime(milliseconds);
    await moment();
  }
  return {
    now: () => Date.now(),
    pass,
    async passUntil(done) {
      let isDone = false;
      const end = () => {
        isDone = true;
      };
      done.then(end, end);
      while (!isDone) await pass(STEP_MILLISECONDS);
      return done;
    },
    async setRedis(milliseconds) {
      redisAhead += milliseconds;
      await tell();
    },
    async [Symbol.asyncDispose]() {
      vi.useRealTimers();
      defining.mockRestore();
      telling.mockRestore();
      redis.disconnect();
    },
  };
}
