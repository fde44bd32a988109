/** Where a text stops being JSON (RFC 8259): an index into it, and what would have to stand there. */
interface Fault {
  at: number;
  wanted: string;
}

const VALUE = 'a value';
const NAME = 'a name in double quotes';
const LITERAL = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;
const SPACE = /[ \t\n\r]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;

/**
 * Says where a text that `JSON.parse` refused stops being JSON, and what is there: one character of it, since the rest
 * is not ours to repeat. V8 gives a position for some faults only, and with others repeats the text.
 *
 * @param text no deeper than a call may recurse up to its first fault
 * @returns the end of a sentence, or nothing if there is no fault
 */
export function tellJsonFault(text: string): string {
  const fault = faultOf(text);
  if (!fault) return '';
  const before = text.slice(0, fault.at);
  const line = before.split('\n').length;
  const column = fault.at - before.lastIndexOf('\n');
  const place = `line ${line}, column ${column}`;
  const seen = text.codePointAt(fault.at);
  if (seen === undefined) return `; it ends at ${place}, where ${fault.wanted} should be`;
  return `; at ${place} is ${nameOf(seen)} where ${fault.wanted} should be`;
}

/** Only what can be seen is shown as it is. */
function nameOf(codePoint: number): string {
  if (codePoint > 0x20 && codePoint < 0x7f) return codePoint === 0x22 ? "'\"'" : `"${String.fromCharCode(codePoint)}"`;
  return `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`;
}

function faultOf(text: string): Fault | undefined {
  const end = value(text, space(text, 0));
  if (typeof end !== 'number') return end;
  const rest = space(text, end);
  return rest < text.length ? { at: rest, wanted: 'the end' } : undefined;
}

/** Each of these returns the index after what it read, or the fault in it. */
function value(text: string, at: number): number | Fault {
  if (text[at] === '{') return list(text, at, '}', member);
  if (text[at] === '[') return list(text, at, ']', value);
  if (text[at] === '"') return string(text, at);
  return matched(LITERAL, text, at) ?? { at, wanted: VALUE };
}

function list(text: string, open: number, close: string, one: typeof value): number | Fault {
  let at = space(text, open + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    const end = one(text, at);
    if (typeof end !== 'number') return end;
    at = space(text, end);
    if (text[at] === close) return at + 1;
    if (text[at] !== ',') return { at, wanted: `"," or "${close}"` };
    at = space(text, at + 1);
  }
}

function member(text: string, at: number): number | Fault {
  if (text[at] !== '"') return { at, wanted: NAME };
  const end = string(text, at);
  if (typeof end !== 'number') return end;
  const colon = space(text, end);
  return text[colon] === ':' ? value(text, space(text, colon + 1)) : { at: colon, wanted: '":"' };
}

function string(text: string, open: number): number | Fault {
  let at = open + 1;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) return at + 1;
    if (unit < 0x20) return { at, wanted: 'an escape such as \\n' };
    const end = unit === 0x5c ? matched(ESCAPE, text, at) : at + 1;
    if (end === undefined) return { at, wanted: 'an escape that JSON knows, or \\\\' };
    at = end;
  }
  return { at, wanted: "the '\"' that ends the text" };
}

function space(text: string, at: number): number {
  return matched(SPACE, text, at) ?? at;
}

function matched(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}
