import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { foreignAdvice } from '../../src/http/foreign-names.ts';
import { plainName } from '../../src/http/nearest-name.ts';
import { messageFields } from '../../src/http/schemas/send-message.ts';

type Json = Record<string, unknown>;
const document = JSON.parse(readFileSync('openapi/postroom.json', 'utf8')) as Json & {
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
};
interface Operation {
  parameters?: { name: string; in: string }[];
  responses?: Record<string, { headers?: Json }>;
}

const operations = [document.paths, document.webhooks].flatMap((each) => Object.values(each).flatMap(Object.values));
const headers = new Set(
  (operations as Operation[]).flatMap(({ parameters = [], responses = {} }) => [
    ...parameters.filter((each) => each.in === 'header').map(({ name }) => name),
    ...Object.values(responses).flatMap((response) => Object.keys(response.headers ?? {})),
  ]),
);
const schemas = Object.values(document.components.schemas);
const words = new Set(schemas.flatMap(wordsOf));

/** `GET /v1/messages?tag`: the operation is there, and takes the parameter. */
function isOperation(method: string, path: string, parameter?: string): boolean {
  const operation = document.paths[path]?.[method.toLowerCase()];
  return operation !== undefined && (!parameter || (operation.parameters ?? []).some(({ name }) => name === parameter));
}

/** `attachments[].contentId`: the first name is in some schema, each other one within what the one before it holds. */
function isField(path: string): boolean {
  let within: Json[] = schemas;
  for (const name of path.split('.')) {
    const found = within
      .flatMap(branches)
      .flatMap(({ properties }) => (properties as Json | undefined)?.[name.replace('[]', '')] ?? []);
    if (found.length === 0) return false;
    within = found as Json[];
  }
  return true;
}

/** A schema, what it refers to, its alternatives and its items. */
function branches(schema: Json): Json[] {
  const { $ref, anyOf = [], oneOf = [], allOf = [], items } = schema as Record<string, unknown> & { $ref?: string };
  const target = $ref && document.components.schemas[$ref.split('/').at(-1) ?? ''];
  const inner = [target, items, ...(anyOf as Json[]), ...(oneOf as Json[]), ...(allOf as Json[])] as (
    | Json
    | undefined
  )[];
  return [schema, ...inner.flatMap((each) => (each ? branches(each) : []))];
}

function wordsOf(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const { enum: listed } = node as { enum?: unknown };
  return [...(Array.isArray(listed) ? listed.map(String) : []), ...Object.values(node).flatMap(wordsOf)];
}

function isOurs(name: string): boolean {
  const [, method, path, parameter] = /^([A-Z]+) (\/[^?]+)(?:\?(\w+))?$/.exec(name) ?? [];
  if (method && path) return isOperation(method, path, parameter);
  return headers.has(name) || isField(name) || words.has(name);
}

interface Row {
  section: string;
  theirs: string[];
  ours: string[];
}

const rows: Row[] = [];
for (const section of readFileSync('docs/coming-from.md', 'utf8').split(/^## /m).slice(1)) {
  const [title = '', ...lines] = section.split('\n');
  const table = lines.filter((line) => line.startsWith('| ')).slice(1);
  for (const line of table) {
    const [, theirs = '', ours = ''] = line.split('|');
    rows.push({ section: title, theirs: quotedIn(theirs), ours: quotedIn(ours) });
  }
}

function quotedIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
}

describe('docs/coming-from.md', () => {
  it('has nine senders, and relays of one’s own', () => {
    const sections = [...new Set(rows.map(({ section }) => section))];
    expect(sections).toHaveLength(11);
    for (const section of sections.slice(0, 9))
      expect(rows.filter((each) => each.section === section).length).toBeGreaterThanOrEqual(14);
  });

  it('names nothing of ours that the API document does not have', () => {
    const unknown = rows.flatMap(({ section, ours }) =>
      ours.filter((name) => !isOurs(name)).map((name) => `${section}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });

  it('would notice a name that is not ours', () => {
    const wrong = [
      'reply_to',
      'attachments[].name',
      'POST /v1/emails',
      'GET /v1/messages?page',
      'X-Message-Id',
      'raw.to',
    ];
    expect(wrong.filter(isOurs)).toEqual([]);
  });

  it('says of one name for another what the answer to a wrong one says', () => {
    const renamed = rows.filter(({ theirs, ours }) => theirs.length === 1 && ours.length === 1);
    const simple = renamed.flatMap(({ theirs: [there = ''], ours: [here = ''] }) =>
      /^[\w:-]+$/.test(there) && here in messageFields.shape ? [{ there, here }] : [],
    );
    expect(simple.length).toBeGreaterThan(20);
    const silent = simple.filter(
      ({ there, here }) =>
        plainName(there) !== plainName(here) &&
        !new RegExp(`\\b${here}\\b`).test(foreignAdvice('message', there) ?? ''),
    );
    expect(silent).toEqual([]);
  });
});
