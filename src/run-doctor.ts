import { parseArgs } from 'node:util';
import { askRedis } from './ask-redis.ts';
import { type Config, readConfig } from './config.ts';
import { examine } from './doctor/examine.ts';
import type { Admission } from './doctor/tools.ts';
import { doctorTools, patientOf } from './doctor-tools.ts';
import { type Examination, examinationOf, type Step } from './gateway/examination.ts';
import type { MailboxConfig } from './mailbox-config.ts';
import { StartupError } from './startup-error.ts';
import { admissionStore } from './store/admission.ts';
import { keysOf } from './store/keys.ts';
import { connectRedis, withScripts } from './store/redis.ts';
import { examinationTeller } from './tell-examination.ts';
import { printable, type Terminal } from './terminal.ts';
import { visitor } from './visitor.ts';

const DOCTOR_USAGE = `Usage: postroom doctor [mailbox] [--send] [--json]

  Finds out why a mailbox does not send: configuration, Redis, clock, DNS, TCP, TLS,
  token, login, MAIL FROM, and the DNS records of the From domains.

  mailbox    its id or address; without it, every configured one

  --send     also send a real message from the mailbox to itself, once for each
             From address; nothing else proves that it can
  --json     one line of JSON for each mailbox, and nothing else

Exit code: 0 nothing failed, 1 something failed, 2 the doctor could not run.`;

/** Nothing failed; something failed; the doctor itself could not run. */
export type DoctorExitCode = 0 | 1 | 2;

/** `postroom doctor`. @returns the exit code */
export async function runDoctor(
  words: string[],
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
  complain: (sentence: string) => void,
): Promise<DoctorExitCode> {
  try {
    const { asked, send, json, help } = readWords(words);
    if (help) {
      terminal.write(`${DOCTOR_USAGE}\n`);
      return 0;
    }
    const config = readConfig(environment);
    const mailboxes = chosen(config, asked);
    const examinations: Examination[] = [];
    for (const mailbox of mailboxes) examinations.push(await visit(mailbox, config, send, json, terminal));
    return examinations.every(({ healthy }) => healthy) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    complain(error.message);
    return 2;
  }
}

function readWords(words: string[]) {
  try {
    const flag = { type: 'boolean', default: false } as const;
    const options = { send: flag, json: flag, help: { ...flag, short: 'h' } };
    const { values, positionals } = parseArgs({ args: words, options, allowPositionals: true });
    if (positionals.length > 1) throw new Error('Name one mailbox, or none for all of them.');
    return { ...values, asked: positionals[0] };
  } catch (error) {
    throw new StartupError(`${(error as Error).message}\n\n${DOCTOR_USAGE}`);
  }
}

const NO_MAILBOX = `No mailbox is configured, so there is nothing to examine: the sandbox needs no doctor.

Set M365_MAILBOX and M365_TENANT_ID, M365_CLIENT_ID, M365_CLIENT_SECRET, in the environment or in a .env file
beside package.json. See .env.example and docs/configuration.md.`;

function chosen({ mailboxes }: Config, asked: string | undefined): MailboxConfig[] {
  if (!mailboxes || mailboxes.length === 0) throw new StartupError(NO_MAILBOX);
  if (asked === undefined) return mailboxes;
  const found = mailboxes.filter(({ id, address }) => id === asked || address.toLowerCase() === asked.toLowerCase());
  if (found.length > 0) return found;
  const known = mailboxes.map(({ id, address }) => `  ${id} (${address})`).join('\n');
  throw new StartupError(`There is no mailbox “${printable(asked).slice(0, 100)}”. Configured are:\n${known}`);
}

async function visit(
  mailbox: MailboxConfig,
  config: Config,
  send: boolean,
  json: boolean,
  terminal: Terminal,
): Promise<Examination> {
  const teller = json ? undefined : examinationTeller(terminal);
  teller?.head(mailbox);
  const patient = patientOf(mailbox, config.mailboxes ?? []);
  const redis = askRedis(config.redisUrl, keysOf(config.redisPrefix).probe);
  const steps: Step[] = [];
  await withAdmission(config, mailbox, async (admission) => {
    const tools = doctorTools(mailbox, { ...(redis && { redis }), ...(admission && { admission }) });
    for await (const step of examine(patient, tools, { send, ...(teller && { begins: teller.begins }) })) {
      steps.push(step);
      teller?.step(step);
    }
  });
  const examination = examinationOf(mailbox.id, steps);
  if (teller) teller.summary(examination);
  else terminal.write(`${JSON.stringify(examination)}\n`);
  return examination;
}

/** How long it is waited for; then nothing is counted, and no message begun. */
const REDIS_MILLISECONDS = 5_000;

/** Over a connection of its own; without `REDIS_URL` there are no others to be counted with. */
async function withAdmission(
  { redisUrl, redisPrefix }: Config,
  mailbox: MailboxConfig,
  run: (admission: Admission | undefined) => Promise<void>,
): Promise<void> {
  if (redisUrl === undefined) return run(undefined);
  const redis = connectRedis(redisUrl, 'prompt', () => undefined);
  try {
    await new Promise<void>((resolve) => {
      redis.once('ready', resolve).once('error', () => resolve());
      setTimeout(resolve, REDIS_MILLISECONDS).unref();
    });
    await run(visitor(admissionStore(withScripts(redis), keysOf(redisPrefix)), mailbox));
  } finally {
    redis.disconnect();
  }
}
