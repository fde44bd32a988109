import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';

/** Stands between a client and a Redis, and is as bad a network as a test needs. */
export interface RedisProxy {
  url: string;
  port: number;
  /** New connections lead to the Redis at this path; those that are open stay where they are. */
  leadTo(target: string): void;
  /** Cuts every connection and refuses new ones. */
  cut(): void;
  /** Takes connections and bytes, passes nothing on, says nothing. */
  blackHole(): void;
  /** Commands arrive, their answers do not. */
  loseAnswers(): void;
  /** What is told over Pub/Sub does not arrive; all other connections work. */
  holdBackPubSub(): void;
  /** Every answer comes so much later. */
  slow(milliseconds: number): void;
  /** No more than so many octets of commands pass each second. */
  narrow(octetsPerSecond: number): void;
  /** All is well for new connections. One that lost bytes stays silent, as a real one would. */
  restore(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Weather {
  passCommands: boolean;
  passAnswers: boolean;
  passPubSub: boolean;
  delayMilliseconds: number;
  octetsPerSecond: number;
}
const FINE: Weather = {
  passCommands: true,
  passAnswers: true,
  passPubSub: true,
  delayMilliseconds: 0,
  octetsPerSecond: Number.POSITIVE_INFINITY,
};

/** @param firstTarget path of a Unix socket */
export async function startRedisProxy(firstTarget: string): Promise<RedisProxy> {
  const open = new Set<Socket>();
  let weather = FINE;
  let refusing = false;
  let target = firstTarget;
  const server = createServer((client) => {
    if (refusing) return void client.destroy();
    const redis = dial(target);
    const lost = { commands: false, answers: false };
    let subscribes = false;
    let answeredAt = 0;
    for (const socket of [client, redis]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        open.delete(socket);
        client.destroy();
        redis.destroy();
      });
    }
    client.on('data', (bytes) => {
      lost.commands ||= !weather.passCommands;
      if (lost.commands) return;
      subscribes ||= /\r\np?subscribe\r\n/i.test(bytes.toString('latin1'));
      redis.write(bytes);
      if (weather.octetsPerSecond === Number.POSITIVE_INFINITY) return;
      client.pause();
      setTimeout(() => client.resume(), (bytes.length / weather.octetsPerSecond) * 1_000);
    });
    redis.on('data', (bytes) => {
      lost.answers ||= !weather.passAnswers || (subscribes && !weather.passPubSub);
      if (lost.answers) return;
      // A slow network delivers late, but never in another order.
      answeredAt = Math.max(answeredAt, performance.now() + weather.delayMilliseconds);
      setTimeout(() => client.write(bytes), Math.max(0, answeredAt - performance.now()));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const hangUp = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    leadTo(next) {
      target = next;
    },
    cut() {
      refusing = true;
      hangUp();
    },
    blackHole() {
      weather = { ...FINE, passCommands: false, passAnswers: false };
    },
    loseAnswers() {
      weather = { ...FINE, passAnswers: false };
    },
    holdBackPubSub() {
      weather = { ...FINE, passPubSub: false };
    },
    slow(milliseconds) {
      weather = { ...FINE, delayMilliseconds: milliseconds };
    },
    narrow(octetsPerSecond) {
      weather = { ...FINE, octetsPerSecond };
    },
    restore() {
      refusing = false;
      weather = FINE;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      hangUp();
    },
  };
}
