import { z } from 'zod';
import { parseAddressRule } from '../../gateway/address-rule.ts';
import { KEY_MODES } from '../../gateway/api-key.ts';
import { usualBurst } from '../../gateway/rate.ts';
import { characterUnfitForLine } from '../../mail/characters.ts';
import { checkedBy } from './checked-by.ts';
import { time } from './message.ts';
import { withoutPattern } from './time.ts';

export const SCOPES = ['send', 'read', 'operate'] as const;
const MAX_PER_MINUTE = 1_000_000;
const MAX_RULES = 100;
const MAX_GRACE_MINUTES = 7 * 24 * 60;

const scope = z.enum(SCOPES, { error: 'A scope is "send", "read" or "operate".' }).meta({
  id: 'Scope',
  description:
    '- `send`: submit messages, and cancel or retry its own\n- `read`: read its own messages\n- `operate`: read and change all messages, mailboxes and API keys, its own included',
});

const scopes = z
  .array(scope)
  .min(1, { error: 'Give at least one scope.' })
  .max(SCOPES.length, { error: 'Give each scope once.' })
  .transform((given) => SCOPES.filter((each) => given.includes(each)));

const name = z
  .string()
  .min(1, { error: 'Give the key a name, such as that of the service that uses it.' })
  .max(100, { error: 'A name has at most 100 characters.' })
  .superRefine(checkedBy(unfitName));

const rules = z
  .array(z.string())
  .min(1, { error: 'Give at least one address, or leave this out to allow all.' })
  .max(MAX_RULES, { error: `At most ${MAX_RULES} entries; use *@domain.` })
  .transform((given, context) =>
    given.map((text, index) => {
      const parsed = parseAddressRule(text);
      if (parsed.ok) return parsed.rule;
      context.addIssue({ code: 'custom', path: [index], message: parsed.problem });
      return '';
    }),
  );

const count = z
  .int({ error: 'This must be a whole number.' })
  .min(1, { error: 'This must be at least 1.' })
  .max(MAX_PER_MINUTE, { error: `This must be at most ${MAX_PER_MINUTE}.` });

const rate = z
  .strictObject({
    perMinute: count.meta({ description: 'Requests a minute in the long run; a batch counts its messages.' }),
    burst: count.optional().meta({ description: 'So many at once after a pause; a sixth of `perMinute` if absent.' }),
  })
  .transform(({ perMinute, burst }) => ({ perMinute, burst: burst ?? usualBurst(perMinute) }))
  .meta({ id: 'RateRequest' });

const expiresAt = z.iso
  .datetime({
    offset: true,
    precision: null,
    error: 'This must be a time with seconds and an offset, as in 2026-01-31T09:30:00Z (RFC 3339).',
  })
  .meta({ override: withoutPattern })
  .transform((text) => Date.parse(text));

const FROM = 'What it may send as: addresses, or `*@domain`. All that the mailboxes allow, if absent.';
const TO =
  'Whom it may send to: addresses, or `*@domain`. Everybody, if absent. For staging, whose mail must not reach customers.';
const RATE = 'All its requests together, over all processes.';

/** The body of `POST /v1/keys`. */
export const newKey = z
  .strictObject({
    name: name.meta({ description: 'Whose it is, for people.', example: 'billing' }),
    mode: z
      .enum(KEY_MODES, { error: 'Say "live" or "test".' })
      .default('live')
      .meta({ description: 'Messages of a `test` key never reach Microsoft; it cannot have the scope `operate`.' }),
    scopes: scopes.meta({ description: 'What it may do.' }),
    from: rules.optional().meta({ description: FROM }),
    to: rules.optional().meta({ description: TO, example: ['*@contoso.com'] }),
    rate: rate.optional().meta({ description: RATE }),
    expiresAt: expiresAt.optional().meta({ description: 'Not valid from this time on.' }),
  })
  .meta({ id: 'NewKey', description: 'What a new API key may do.' });

/** The body of `PATCH /v1/keys/{id}`: RFC 7396, null takes away. */
export const keyChange = z
  .strictObject({
    name: name.optional(),
    from: rules
      .nullable()
      .optional()
      .meta({ description: `${FROM} \`null\` takes it away.` }),
    to: rules
      .nullable()
      .optional()
      .meta({ description: `${TO} \`null\` takes it away.` }),
    rate: rate
      .nullable()
      .optional()
      .meta({ description: `${RATE} \`null\` takes it away.` }),
    expiresAt: expiresAt.nullable().optional().meta({ description: '`null`: it does not expire.' }),
  })
  .meta({ id: 'KeyChange', description: 'What is to be different; all else stays.' });

export const rotation = z
  .strictObject({
    graceMinutes: z
      .int({ error: 'This must be a whole number of minutes.' })
      .min(0, { error: 'This must be at least 0.' })
      .max(MAX_GRACE_MINUTES, { error: `This must be at most ${MAX_GRACE_MINUTES}, which is a week.` })
      .default(0)
      .meta({ description: 'For so long the present secret stays valid too.', example: 60 }),
  })
  .meta({ id: 'KeyRotation' });

const keyFields = z.looseObject({
  id: z.string().meta({ description: 'Stays the same when the secret changes.' }),
  name: z.string(),
  mode: z.enum(KEY_MODES),
  state: z.enum(['active', 'expired', 'revoked']),
  scopes: z.array(scope),
  from: z.array(z.string()).optional().meta({ description: FROM }),
  to: z.array(z.string()).optional().meta({ description: TO }),
  rate: z.looseObject({ perMinute: z.int(), burst: z.int() }).optional().meta({ description: RATE }),
  hint: z.string().meta({ description: 'Beginning of the secret, to recognise it by.' }),
  createdAt: time,
  expiresAt: time.optional(),
  lastUsedAt: time.optional().meta({ description: 'To about a minute.' }),
  rotatedAt: time.optional(),
  formerSecretUntil: time.optional().meta({ description: 'Until then the secret before it is valid too.' }),
  revokedAt: time.optional(),
});

/** A `KeyView`. */
export const key = keyFields.meta({ id: 'Key', description: 'An API key, without its secret.' });

/** A `ShownKey`. */
export const shownKey = keyFields
  .extend({ secret: z.string().meta({ description: 'Shown this once. Nobody can read it again.' }) })
  .meta({ id: 'KeyWithSecret', description: 'An API key with its secret.' });

export const keyList = z.looseObject({ keys: z.array(key) }).meta({ id: 'KeyList' });

/** What the schema of a new key cannot say. */
export function wholeKeyErrors(received: unknown, now: number): { pointer: string; message: string }[] {
  if (typeof received !== 'object' || received === null) return [];
  const { mode, scopes: asked, expiresAt: ends } = received as Record<string, unknown>;
  const errors = [];
  if (mode === 'test' && Array.isArray(asked) && asked.includes('operate'))
    errors.push({
      pointer: '/scopes',
      message: 'A test key cannot have the scope "operate", which changes live keys.',
    });
  if (typeof ends === 'string' && Date.parse(ends) <= now)
    errors.push({ pointer: '/expiresAt', message: 'This time is past; give one in the future.' });
  return errors;
}

function unfitName(text: string): string | undefined {
  const unfit = characterUnfitForLine(text);
  return unfit && `The name contains ${unfit}; remove it.`;
}
