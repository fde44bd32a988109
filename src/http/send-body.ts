import { foreignAdvice, type Place } from './foreign-names.ts';
import { ADDRESS_FIELDS } from './schemas/address.ts';
import { ATTACHMENT_FIELDS } from './schemas/attachment.ts';
import { CALENDAR_FIELDS } from './schemas/calendar.ts';
import { COMPOSING_FIELDS, messageFields, sendMessage } from './schemas/send-message.ts';
import { RAW_FIELDS, sendRaw } from './schemas/send-raw.ts';
import { rawMessageErrors, wholeMessageErrors } from './schemas/whole-message.ts';
import { bodyValidator, invalidFields, type Validated } from './validation.ts';

const SEVERAL = 'This must be an object; send several messages with POST /v1/messages/batch.';

/** Judges one send body: composed of fields, or whole in `raw`. @param now milliseconds since the epoch */
export function sendBodyValidator(now: () => number): (received: unknown) => Validated {
  const checkComposed = bodyValidator(sendMessage, {
    fieldNames: fieldNamesAt,
    advice: (path, name) => foreignAdvice(placeOf(path), name),
    wholeErrors: (received) => wholeMessageErrors(received, now()),
  });
  const checkRaw = bodyValidator(sendRaw, {
    fieldNames: fieldNamesAt,
    advice: (path, name) => foreignAdvice(placeOf(path), name),
    wholeErrors: (received) => rawMessageErrors(received, now()),
  });
  return (received) => {
    if (Array.isArray(received)) return { error: invalidFields([{ pointer: '', message: SEVERAL }]) };
    if (!hasRaw(received)) return checkComposed(received);
    const composing = COMPOSING_FIELDS.filter((name) => Object.hasOwn(received, name));
    const checked = checkRaw(without(received, composing));
    return composing.length > 0 ? { error: bothWays(composing, checked) } : checked;
  };
}

function without(received: object, names: readonly string[]): object {
  if (names.length === 0) return received;
  return Object.fromEntries(Object.entries(received).filter(([name]) => !names.includes(name)));
}

function hasRaw(received: unknown): received is { raw: unknown } {
  return typeof received === 'object' && received !== null && Object.hasOwn(received, 'raw');
}

/** Together with what is wrong besides. */
function bothWays(names: readonly string[], checked: Validated) {
  const message = 'This cannot be given together with raw, which is a whole message; put it into raw.content.';
  const others = 'error' in checked ? (checked.error.particulars.errors ?? []) : [];
  return invalidFields([
    ...names.map((name) => ({ pointer: `/${name}`, message })),
    ...others.flatMap((each) => ('pointer' in each ? [each] : [])),
  ]);
}

function placeOf(path: readonly PropertyKey[]): Place {
  const [first] = path;
  if (first === undefined) return 'message';
  if (first === 'attachments') return 'attachment';
  if (first === 'calendar') return 'calendar';
  const last = path.at(-1);
  return first === 'raw' && (last === 'raw' || last === 'envelope') ? last : 'address';
}

/** Names of the fields at a path of the body: what an unknown one may have meant. */
function fieldNamesAt(path: readonly PropertyKey[]): readonly string[] {
  const [first] = path;
  if (first === undefined) return [...Object.keys(messageFields.shape), 'raw'];
  if (first === 'attachments') return ATTACHMENT_FIELDS;
  if (first === 'calendar') return CALENDAR_FIELDS;
  return (first === 'raw' && RAW_FIELDS[String(path.at(-1))]) || ADDRESS_FIELDS;
}
