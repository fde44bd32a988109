import type { Reader } from './environment.ts';
import { faultOfAllowance } from './webhooks/policy.ts';

/** How webhooks are delivered. */
export interface WebhookSettings {
  /** Host names and address ranges that may be called although they are not public. */
  allow: readonly string[];
  allowHttp: boolean;
  /** Waits after the first, second … failed try. */
  retrySeconds: readonly number[];
  /** An endpoint whose every try has failed for so long is disabled. */
  disableDays: number;
  /** How long events can be told and replayed. */
  keepDays: number;
  /** Of one try. */
  timeoutSeconds?: number;
}

/** The schedule that Standard Webhooks suggests, ended after two days: 5 s, 5 min, 30 min, 2, 5, 10, 14 and 17 hours. */
const RETRY_SECONDS = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 61_200];

/** Each wait is lengthened by up to a fifth. */
const LONGEST_JITTER = 1.2;

export const USUAL_WEBHOOKS: WebhookSettings = {
  allow: [],
  allowHttp: false,
  retrySeconds: RETRY_SECONDS,
  disableDays: 5,
  keepDays: 3,
};

/** Webhooks of a machine that tries Postroom out may go to receivers on the same machine. */
export function forTryingOut(settings: WebhookSettings): WebhookSettings {
  return { ...settings, allow: [...settings.allow, '127.0.0.0/8', '::1'], allowHttp: true };
}

export function readWebhookSettings(env: Reader, faults: string[]): WebhookSettings {
  const settings = {
    allow: allowed(env, faults),
    allowHttp: env.oneOf('POSTROOM_WEBHOOK_ALLOW_HTTP', ['true', 'false'], 'false') === 'true',
    retrySeconds: retries(env, faults),
    disableDays: env.number('POSTROOM_WEBHOOK_DISABLE_DAYS', USUAL_WEBHOOKS.disableDays, 0.01, 365),
    keepDays: env.number('POSTROOM_WEBHOOK_KEEP_DAYS', USUAL_WEBHOOKS.keepDays, 0.01, 365),
  };
  const trying = settings.retrySeconds.reduce((sum, each) => sum + each, 0) * LONGEST_JITTER;
  if (trying > settings.keepDays * 86_400)
    faults.push('POSTROOM_WEBHOOK_KEEP_DAYS must be longer than all waits of POSTROOM_WEBHOOK_RETRY_SECONDS together.');
  return settings;
}

function allowed(env: Reader, faults: string[]): string[] {
  const entries = listed(env.text('POSTROOM_WEBHOOK_ALLOW'));
  for (const entry of entries) {
    const fault = faultOfAllowance(entry);
    if (fault) faults.push(`POSTROOM_WEBHOOK_ALLOW: ${JSON.stringify(entry.slice(0, 80))} ${fault}.`);
  }
  return entries;
}

function retries(env: Reader, faults: string[]): readonly number[] {
  const text = env.text('POSTROOM_WEBHOOK_RETRY_SECONDS');
  if (text === undefined) return RETRY_SECONDS;
  const entries = listed(text);
  if (entries.length <= 30 && entries.every((each) => /^\d{1,6}(\.\d{1,3})?$/.test(each))) return entries.map(Number);
  faults.push('POSTROOM_WEBHOOK_RETRY_SECONDS must be at most 30 numbers of seconds, separated by commas.');
  return RETRY_SECONDS;
}

function listed(text = ''): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean);
}
