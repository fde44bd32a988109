/**
 * Messages delivered a second over STARTTLS and AUTH to a server without limits: a Postroom worker, beside a Postfix that
 * relays the same bytes, as most do today, once with its defaults and once with connections kept (`smtp_tls_connection_reuse`).
 * Each finds its messages waiting; the rate is measured at the server, by its final dots, over the second half of them.
 *
 *     npx tsx bench/postfix.ts [rounds] [messages] [connections]
 *
 * Needs Debian's `postfix` and `libsasl2-modules`, and root, which Postfix wants. It runs an instance of its own, in a folder
 * that it removes, and leaves one that is already there alone.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTransport } from 'nodemailer';
import { startTestRedis } from '../test/support/redis.ts';
import { load, ownBytes } from './load.ts';
import { BODY, build, median, type Part, type Sink, startPart, tell, untilTaken } from './support.ts';

const DELIVER = fileURLToPath(new URL('./deliver.ts', import.meta.url));

/** Services as in Postfix's own file, none of them in a jail, and no more SMTP clients than there may be connections. */
function masterFile(port: number, connections: number): string {
  const lines = [
    `127.0.0.1:${port} inet n - n - - smtpd`,
    'pickup unix n - n 60 1 pickup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'flush unix n - n 1000? 0 flush',
    'cleanup unix n - n - 0 cleanup',
    'rewrite unix - - n - - trivial-rewrite',
    'verify unix - - n - 1 verify',
    'proxymap unix - - n - - proxymap',
    `smtp unix - - n - ${connections} smtp`,
    'showq unix n - n - - showq',
    'anvil unix - - n - 1 anvil',
    'scache unix - - n - 1 scache',
    'tlsproxy unix - - n - 0 tlsproxy',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  for (const name of ['bounce', 'defer', 'trace']) lines.push(`${name} unix - - n - 0 bounce`);
  for (const name of ['error', 'retry']) lines.push(`${name} unix - - n - - error`);
  return `${lines.join('\n')}\n`;
}

function mainFile(folder: string, sink: Sink, connections: number, keepsConnections: boolean): string {
  return Object.entries({
    compatibility_level: '3.6',
    queue_directory: join(folder, 'queue'),
    data_directory: join(folder, 'data'),
    maillog_file: join(folder, 'mail.log'),
    maillog_file_prefixes: tmpdir(),
    inet_interfaces: '127.0.0.1',
    myhostname: 'relay.contoso.com',
    mydestination: '',
    mynetworks: '127.0.0.1/32',
    relayhost: `[127.0.0.1]:${sink.port}`,
    smtp_tls_security_level: 'verify',
    smtp_tls_verify_cert_match: 'nexthop, hostname',
    smtp_tls_CAfile: join(folder, 'ca.pem'),
    smtp_tls_connection_reuse: keepsConnections ? 'yes' : 'no',
    smtp_sasl_auth_enable: 'yes',
    smtp_sasl_password_maps: `static:main@contoso.com:password-of-the-sink`,
    smtp_sasl_security_options: 'noanonymous',
    default_destination_concurrency_limit: connections,
    initial_destination_concurrency: connections,
    // Until all are there.
    defer_transports: 'smtp',
  })
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (;;) {
    const isThere = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => resolve(false)).setTimeout(1_000, () => socket.destroy());
    });
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Gives them to Postfix as an application does, by SMTP on this machine. */
async function fill(port: number, count: number): Promise<void> {
  const transport = createTransport({ pool: true, host: '127.0.0.1', port, secure: false, ignoreTLS: true });
  const raw = await ownBytes('main@contoso.com');
  const envelope = { from: 'main@contoso.com', to: BODY.to };
  await Promise.all(Array.from({ length: count }, () => transport.sendMail({ envelope, raw })));
  transport.close();
}

/** @returns messages a second */
async function postfix(sink: Part<Sink>, count: number, connections: number, keepsConnections: boolean) {
  const folder = mkdtempSync(join(tmpdir(), 'postroom-bench-postfix-'));
  // Postfix's own users must get through.
  chmodSync(folder, 0o755);
  const settings = join(folder, 'etc');
  for (const each of ['etc', 'queue', 'data']) mkdirSync(join(folder, each));
  execFileSync('chown', ['postfix', join(folder, 'data')]);
  const port = await freePort();
  writeFileSync(join(folder, 'ca.pem'), sink.ready.caPem);
  writeFileSync(join(settings, 'main.cf'), mainFile(folder, sink.ready, connections, keepsConnections));
  writeFileSync(join(settings, 'master.cf'), masterFile(port, connections));
  const run = (...command: string[]) =>
    execFileSync(command[0] as string, ['-c', settings, ...command.slice(1)], { stdio: ['ignore', 'ignore', 'pipe'] });
  run('postfix', 'start');
  try {
    await untilListening(port);
    await fill(port, count);
    await sink.ask('clear');
    run('postconf', '-X', 'defer_transports');
    run('postfix', 'reload');
    run('postqueue', '-f');
    return rateOf(await untilTaken(sink, count), count);
  } finally {
    run('postfix', 'stop');
    rmSync(folder, { recursive: true });
  }
}

async function postroom(sink: Part<Sink>, count: number, connections: number): Promise<number> {
  await using redis = await startTestRedis();
  await load(redis.url, count, ['main']);
  await sink.ask('clear');
  const args = ['ours', String(count), String(connections), JSON.stringify(sink.ready), redis.url];
  const part = await startPart(DELIVER, args);
  const times = await untilTaken(sink, count);
  await part.end();
  return rateOf(times, count);
}

function rateOf(times: number[], count: number): number {
  const first = Math.floor(count / 2);
  return (count - first) / (((times[count - 1] as number) - (times[first - 1] as number)) / 1_000);
}

async function compare(rounds: number, count: number, connections: number): Promise<void> {
  build();
  const sink = await startPart<Sink>(DELIVER, ['sink']);
  const rates = { default: [] as number[], kept: [] as number[], ours: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    rates.default.push(await postfix(sink, count, connections, false));
    rates.kept.push(await postfix(sink, count, connections, true));
    rates.ours.push(await postroom(sink, 10 * count, connections));
  }
  await sink.end();
  console.log(`${rounds} rounds of ${count} messages (Postroom ${10 * count}) over ${connections} connections`);
  const show = (each: number[]) => ({ 'delivered/s': median(each).toFixed(0) });
  const beside = (each: number[]) => median(rates.ours.map((rate, round) => rate / (each[round] as number))).toFixed(1);
  tell('Postfix, defaults', {
    ...show(rates.default),
    'Postroom beside it': `${beside(rates.default)} (must 3, goal 6)`,
  });
  tell('Postfix, connections kept', {
    ...show(rates.kept),
    'Postroom beside it': `${beside(rates.kept)} (must 2, goal 4)`,
  });
  tell('Postroom', show(rates.ours));
}

const [rounds, count, connections] = process.argv.slice(2);
await compare(Number(rounds ?? 3), Number(count ?? 1_000), Number(connections ?? 10));
