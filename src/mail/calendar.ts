import { timeProblem, zoneIn, zoneProblem } from './calendar-time.ts';
import { characterUnfitForLine, quote } from './characters.ts';

/** RFC 5546 §1.4: what a calendar object asks of its reader. */
export const CALENDAR_METHODS = [
  'REQUEST',
  'CANCEL',
  'REPLY',
  'PUBLISH',
  'ADD',
  'REFRESH',
  'COUNTER',
  'DECLINECOUNTER',
] as const;
export type CalendarMethod = (typeof CALENDAR_METHODS)[number];

/** An iCalendar object (RFC 5545) as it is sent: checked, CRLF line ends, folded at 75 octets. */
export interface Calendar {
  method: CalendarMethod;
  content: string;
}

export type ParsedCalendar =
  | { ok: true; calendar: Calendar }
  | { ok: false; part: 'method' | 'content'; problem: string };

/** UTF-16 units; ours. Outlook shows one meeting, which takes a few kilobytes. */
export const MAX_CALENDAR_LENGTH = 1_000_000;
const MAX_DEPTH = 8;
/** RFC 5545 §3.1, without the line end. */
const MAX_LINE_OCTETS = 75;

/** RFC 5545 §3.1: a name, parameters whose values may be quoted, and all else is the value. */
const CONTENT_LINE = /^([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)$/s;
const SUBJECTS = ['VEVENT', 'VTODO', 'VJOURNAL', 'VFREEBUSY'];

interface Component {
  name: string;
  /** Values by upper-case name. */
  properties: Map<string, string[]>;
  /** Time zones of its times, by the upper-case name of the property. */
  zones: Map<string, string>;
  children: Component[];
}

/**
 * Reads an iCalendar object and judges what mail programs need to show it as an invitation. Exchange shows a meeting
 * only if the MIME part's method and the object's METHOD agree; otherwise it attaches "not supported calendar
 * message.ics" (support.microsoft.com/kb/2643084, read 2026-11).
 *
 * @param method the object's own METHOD if absent
 */
export function parseCalendar(content: string, method?: CalendarMethod): ParsedCalendar {
  if (content.length > MAX_CALENDAR_LENGTH) return wrong(`has more than ${MAX_CALENDAR_LENGTH} characters; shorten it`);
  const lines = unfolded(content);
  const unfit = lines.map((line) => characterUnfitForLine(line.replaceAll('\t', ' '))).find((each) => each);
  if (unfit) return wrong(`contains ${unfit}; write \\n for a line break within a value`);
  const tree = readComponents(lines);
  if (typeof tree === 'string') return wrong(tree);
  const said = tree.properties.get('METHOD')?.[0]?.toUpperCase();
  const meant = method ?? CALENDAR_METHODS.find((each) => each === said);
  const problem = calendarProblem(tree) ?? (meant && componentProblems(tree, meant));
  if (!meant) return wrong(methodProblem(said));
  if (method && said && said !== method)
    return { ok: false, part: 'method', problem: `The content says METHOD:${said}; both must be the same.` };
  if (!said) return wrong(`has no METHOD; add the line METHOD:${meant} below BEGIN:VCALENDAR`);
  return problem ? wrong(problem) : { ok: true, calendar: { method: meant, content: folded(lines) } };
}

function methodProblem(said: string | undefined): string {
  if (!said) return 'has no METHOD; add a line such as METHOD:REQUEST below BEGIN:VCALENDAR';
  return `has the METHOD ${quote(said)}; use one of ${CALENDAR_METHODS.join(', ')}`;
}

/** Logical lines: RFC 5545 §3.1 unfolds before it reads. */
function unfolded(content: string): string[] {
  const text = content.replace(/^\ufeff/, '').replace(/\r\n|[\r\n]/g, '\n');
  return text
    .replace(/\n[ \t]/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
}

/** The VCALENDAR with all that is in it, or what is wrong. */
function readComponents(lines: readonly string[]): Component | string {
  const [first = '', ...rest] = lines;
  if (first.trim().toUpperCase() !== 'BEGIN:VCALENDAR') return 'does not begin with BEGIN:VCALENDAR';
  const root = component('VCALENDAR');
  const open = [root];
  for (const line of rest) {
    const current = open.at(-1);
    if (!current) return 'goes on after END:VCALENDAR; send one calendar object';
    const problem = readLine(line, current, open);
    if (problem) return problem;
  }
  return open.length === 0 ? root : `has no END:${open.at(-1)?.name}`;
}

function readLine(line: string, current: Component, open: Component[]): string | undefined {
  const [, name = '', parameters = '', value = ''] = CONTENT_LINE.exec(line) ?? [];
  if (name === '')
    return `has the line ${quote(line)}, which is no NAME:value (RFC 5545 §3.1); begin the lines that continue another one with a space`;
  const key = name.toUpperCase();
  const kind = value.trim().toUpperCase();
  if (key === 'BEGIN') return begin(kind, current, open);
  if (key !== 'END') {
    current.properties.set(key, [...(current.properties.get(key) ?? []), value]);
    const zone = zoneIn(parameters);
    if (zone !== undefined) current.zones.set(key, zone);
    return undefined;
  }
  if (kind !== current.name) return `has END:${quote(kind)} where END:${current.name} belongs`;
  open.pop();
  return undefined;
}

function begin(name: string, current: Component, open: Component[]): string | undefined {
  if (!/^[A-Z0-9-]{1,40}$/.test(name) || name === 'VCALENDAR') return `has BEGIN:${quote(name)} in the wrong place`;
  if (open.length >= MAX_DEPTH) return `is nested more than ${MAX_DEPTH} levels deep`;
  const child = component(name);
  current.children.push(child);
  open.push(child);
  return undefined;
}

const component = (name: string): Component => ({
  name,
  properties: new Map(),
  zones: new Map(),
  children: [],
});

function calendarProblem(calendar: Component): string | undefined {
  const { properties, children } = calendar;
  if (count(calendar, 'VERSION') !== 1 || properties.get('VERSION')?.[0]?.trim() !== '2.0')
    return 'must have exactly one VERSION:2.0';
  if (count(calendar, 'PRODID') !== 1) return 'must have exactly one PRODID, as in PRODID:-//Contoso//Booking//EN';
  if (count(calendar, 'METHOD') > 1) return 'has more than one METHOD; keep one';
  if (!children.some(({ name }) => SUBJECTS.includes(name))) return 'has no VEVENT';
  return undefined;
}

/** RFC 5546 §3.2–3.5, as far as the tables for all kinds of components agree. */
function componentProblems(calendar: Component, method: CalendarMethod): string | undefined {
  const subjects = calendar.children.filter(({ name }) => SUBJECTS.includes(name));
  for (const subject of subjects) {
    const problem = subjectProblem(subject, method);
    if (problem) return `${problem} (in its ${subject.name})`;
  }
  const uids = new Set(subjects.map(({ properties }) => properties.get('UID')?.[0]));
  if (method !== 'PUBLISH' && uids.size > 1)
    return `has more than one UID; a ${method} is about one meeting, send several messages`;
  return zoneProblem(subjects, calendar.children);
}

function subjectProblem(subject: Component, method: CalendarMethod): string | undefined {
  const { properties, name } = subject;
  if (count(subject, 'UID') !== 1 || !properties.get('UID')?.[0]?.trim())
    return 'must have exactly one UID, the same in every update of the meeting';
  if (count(subject, 'DTSTAMP') !== 1) return 'must have exactly one DTSTAMP, as in DTSTAMP:20260131T093000Z';
  if (count(subject, 'DTEND') + count(subject, 'DURATION') > 1) return 'must have DTEND or DURATION, not both';
  if (name === 'VEVENT' && NEEDS_START.has(method) && count(subject, 'DTSTART') !== 1)
    return 'must have exactly one DTSTART';
  return timeProblem(subject) ?? peopleProblem(subject, method);
}

const NEEDS_START = new Set<CalendarMethod>(['REQUEST', 'PUBLISH', 'ADD', 'COUNTER']);

function peopleProblem(subject: Component, method: CalendarMethod): string | undefined {
  const { properties, name } = subject;
  const isMailto = (value: string) => /^mailto:[^\s@]+@[^\s@]+$/i.test(value.trim());
  const [organizer] = properties.get('ORGANIZER') ?? [];
  const attendees = properties.get('ATTENDEE') ?? [];
  if (count(subject, 'ORGANIZER') > 1 || (organizer === undefined && name === 'VEVENT'))
    return 'must have exactly one ORGANIZER, as in ORGANIZER:mailto:ada@contoso.com';
  if (organizer !== undefined && !isMailto(organizer)) return 'must have an ORGANIZER with mailto: and an address';
  if (!attendees.every(isMailto)) return 'must have mailto: and an address in every ATTENDEE';
  if (method === 'REQUEST' && name === 'VEVENT' && attendees.length === 0)
    return 'must have an ATTENDEE, as in ATTENDEE;RSVP=TRUE:mailto:ada@fabrikam.com';
  if (method === 'REPLY' && attendees.length !== 1) return 'must have exactly one ATTENDEE: who answers';
  return undefined;
}

function count({ properties }: Component, name: string): number {
  return properties.get(name)?.length ?? 0;
}

function folded(lines: readonly string[]): string {
  return lines.map((line) => `${foldedLine(line)}\r\n`).join('');
}

/** Never within a character: a reader that unfolds octets and one that unfolds characters see the same. */
function foldedLine(line: string): string {
  if (Buffer.byteLength(line) <= MAX_LINE_OCTETS) return line;
  let out = '';
  let room = MAX_LINE_OCTETS;
  for (const character of line) {
    const octets = Buffer.byteLength(character);
    if (octets > room) {
      out += '\r\n ';
      room = MAX_LINE_OCTETS - 1;
    }
    out += character;
    room -= octets;
  }
  return out;
}

function wrong(problem: string): ParsedCalendar {
  return { ok: false, part: 'content', problem: `The calendar ${problem}.` };
}
