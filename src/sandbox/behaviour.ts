import { AFTERMATHS, type Aftermath, type Answer } from './answer.ts';
import type { Limits } from './limits.ts';
import type { Session } from './session.ts';
import type { Mechanism } from './smtp-policy.ts';
import { isSmtpReplyId, saying, wordsOf } from './words.ts';

/** Where a rule can be laid down. `message` is the answer to the final dot, `body` the time before it. */
const RULE_STAGES = [
  'greeting',
  'hello',
  'startTls',
  'auth',
  'mail',
  'rcpt',
  'data',
  'body',
  'message',
  'reset',
] as const;
export type RuleStage = (typeof RULE_STAGES)[number];

/** What to do instead of the ordinary thing, or on top of it where `reply` is left out. */
export interface Rule {
  /** A whole reply (`451 4.7.0 …`, lines joined with `\n`), or the id of a known one (`auth-535-5.7.139-criteria`). */
  reply?: string;
  /** Milliseconds to wait first. */
  delayMs?: number;
  afterwards?: Aftermath;
  /** For `body`: only once so many octets have arrived. */
  afterBytes?: number;
  /** For `message`: keep the message in the inbox, whatever is answered. */
  keep?: boolean;
  /** How often it applies; absent: until changed. */
  times?: number;
  /** Only for this mailbox; from `auth` on. */
  mailbox?: string;
}

/** What the token endpoint does instead. */
export interface TokenRule {
  /** HTTP status; with neither `body` nor `code` an HTML page follows, as from an overloaded front end. */
  status?: number;
  /** Any text, JSON or not. */
  body?: string;
  /** An AADSTS number that the reply lists know, for example 7000222. */
  code?: number;
  retryAfterSeconds?: number;
  delayMs?: number;
  afterwards?: 'drop' | 'hang';
  times?: number;
}

/** How Entra differs without failing. */
export interface EntraRule {
  /** Its clock is so far ahead of ours; negative: behind. */
  clockAheadSeconds?: number;
  /** Claims of every token issued from now on, instead of the ordinary ones; null leaves one out. */
  claims?: Record<string, unknown>;
}

/** What the EHLO reply offers. */
export interface Advertised {
  startTls?: boolean;
  mechanisms?: Mechanism[];
  /** SIZE in octets. */
  bytes?: number;
  smtpUtf8?: boolean;
  eightBitMime?: boolean;
}

/** How the stand-in departs from its ordinary ways; null takes a departure back. */
export type Behaviour = { [stage in RuleStage]?: Rule | null } & {
  token?: TokenRule | null;
  entra?: EntraRule | null;
  advertise?: Advertised | null;
  limits?: Partial<Limits> | null;
};

/** What can be asked for at run time: lasting departures, and things done once. */
export type BehaviourChange = Behaviour & {
  /** Every token issued so far stops working. */
  revokeTokens?: boolean;
  /** Every SMTP connection is cut. */
  dropConnections?: boolean;
};

/** The present departures, and how often they still apply. */
export class Departures {
  #behaviour: Behaviour = {};

  constructor(initial: Behaviour = {}) {
    this.change(initial);
  }

  get current(): Behaviour {
    return structuredClone(this.#behaviour);
  }

  change(change: Behaviour): void {
    const merged = { ...this.#behaviour, ...structuredClone(change) };
    this.#behaviour = Object.fromEntries(Object.entries(merged).filter(([, value]) => value != null));
  }

  /** The rule that applies now, which is then used up by one. */
  take(stage: RuleStage, mailbox: string | undefined, received = 0): Rule | undefined {
    const rule = this.#behaviour[stage];
    if (!rule || received < (rule.afterBytes ?? 0)) return undefined;
    if (rule.mailbox && rule.mailbox.toLowerCase() !== mailbox) return undefined;
    if (rule.times !== undefined) this.change({ [stage]: countDown(rule) });
    return rule.times === 0 ? undefined : rule;
  }

  takeToken(): TokenRule | undefined {
    const rule = this.#behaviour.token;
    if (!rule) return undefined;
    if (rule.times !== undefined) this.change({ token: countDown(rule) });
    return rule.times === 0 ? undefined : rule;
  }
}

function countDown<R extends { times?: number }>(rule: R): R | null {
  const left = (rule.times ?? 1) - 1;
  return left > 0 ? { ...rule, times: left } : null;
}

/** @param ordinary what would have been answered; not asked if the rule has its own words or none */
export function byRule(rule: Rule, session: Session, ordinary: () => Answer): Answer {
  const departure = {
    ...(rule.delayMs && { delayMs: rule.delayMs }),
    ...(rule.afterwards && { afterwards: rule.afterwards }),
  };
  if (rule.reply !== undefined) return { ...saying(inWords(rule.reply, session)), ...departure };
  const isSilent = rule.afterwards !== undefined && rule.afterwards !== 'close';
  return isSilent ? departure : { ...ordinary(), ...departure };
}

function inWords(reply: string, session: Session): string {
  return isSmtpReplyId(reply) ? wordsOf(reply, session) : reply;
}

const RULE_FIELDS: Record<keyof Rule, (value: unknown) => boolean> = {
  reply: (value) => typeof value === 'string' && (isSmtpReplyId(value) || /^[2-5]\d\d[ -]/.test(value)),
  delayMs: isCount,
  afterwards: (value) => (AFTERMATHS as readonly unknown[]).includes(value),
  afterBytes: isCount,
  keep: (value) => typeof value === 'boolean',
  times: isCount,
  mailbox: (value) => typeof value === 'string',
};

const TOKEN_FIELDS: Record<keyof TokenRule, (value: unknown) => boolean> = {
  status: (value) => isCount(value) && Number(value) >= 200 && Number(value) <= 599,
  body: (value) => typeof value === 'string',
  code: isCount,
  retryAfterSeconds: isCount,
  delayMs: isCount,
  afterwards: (value) => value === 'drop' || value === 'hang',
  times: isCount,
};

const ADVERTISE_FIELDS: Record<keyof Advertised, (value: unknown) => boolean> = {
  startTls: (value) => typeof value === 'boolean',
  mechanisms: (value) => Array.isArray(value) && value.every((name) => name === 'LOGIN' || name === 'XOAUTH2'),
  bytes: isCount,
  smtpUtf8: (value) => typeof value === 'boolean',
  eightBitMime: (value) => typeof value === 'boolean',
};

const ENTRA_FIELDS: Record<keyof EntraRule, (value: unknown) => boolean> = {
  clockAheadSeconds: (value) => Number.isSafeInteger(value) && Math.abs(Number(value)) < 1e9,
  claims: isObject,
};

const LIMIT_FIELDS: Record<keyof Limits, (value: unknown) => boolean> = {
  messagesPerWindow: isCount,
  windowSeconds: (value) => typeof value === 'number' && value > 0,
  connections: isCount,
  recipientsPerMessage: isCount,
  recipientsPerDay: isCount,
  messageBytes: isCount,
};

const FIELDS_OF: Record<string, Record<string, (value: unknown) => boolean>> = {
  ...Object.fromEntries(RULE_STAGES.map((stage) => [stage, RULE_FIELDS])),
  token: TOKEN_FIELDS,
  entra: ENTRA_FIELDS,
  advertise: ADVERTISE_FIELDS,
  limits: LIMIT_FIELDS,
};
const ONCE = ['revokeTokens', 'dropConnections'];

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Reads what came over HTTP. @returns the change, or the path of the first member that is wrong */
export function readBehaviourChange(json: unknown): { change: BehaviourChange } | { fault: string } {
  if (!isObject(json)) return { fault: 'the body: expected an object' };
  for (const [name, value] of Object.entries(json)) {
    if (ONCE.includes(name) ? typeof value === 'boolean' : value === null && Object.hasOwn(FIELDS_OF, name)) continue;
    const fields = Object.hasOwn(FIELDS_OF, name) ? FIELDS_OF[name] : undefined;
    if (!fields) return { fault: `${name}: not known` };
    if (!isObject(value)) return { fault: `${name}: expected an object or null` };
    const wrong = Object.entries(value).find(
      ([field, part]) => !(Object.hasOwn(fields, field) && fields[field]?.(part)),
    );
    if (wrong) return { fault: `${name}.${wrong[0]}: not known, or not a value it can have` };
  }
  return { change: json as BehaviourChange };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
