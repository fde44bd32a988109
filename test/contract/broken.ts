import { branchesOf, isObject, type Json } from './document.ts';

export interface Variant {
  /** What was done to a good one, and where. */
  name: string;
  value: unknown;
}

/** Longer ones would test the limits of bodies, which have tests of their own. */
const MOST_BUILT = 70_000;
/** Of each of these at least one is of no type that a schema allows, or out of its bounds. */
const STRANGERS: unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e21,
  '',
  ' ',
  '\u0000',
  'x'.repeat(33_000),
  [],
  [null],
  {},
  { nope: 1 },
];

/** Everything that can be wrong with one place of a good value, one thing at a time. */
export function variantsOf(good: unknown, schema: Json | undefined, path = ''): Variant[] {
  const branches = branchesOf(schema);
  const here = [
    ...STRANGERS.map((value) => ({ name: `${path} is ${JSON.stringify(value)?.slice(0, 20)}`, value })),
    ...branches.flatMap((branch) => outOfBounds(branch, good, path)),
  ];
  if (Array.isArray(good)) {
    const [item] = branches.flatMap(({ items }) => (isObject(items) ? [items] : []));
    const [first] = good;
    const within = good.length > 0 ? variantsOf(first, item, `${path}/0`) : [];
    return [...here, ...within.map(({ name, value }) => ({ name, value: [value, ...good.slice(1)] }))];
  }
  if (!isObject(good)) return here;
  return [...here, ...membersOf(good, branches, path)];
}

const PROTO = { value: { nope: 1 }, enumerable: true };

function membersOf(good: Json, branches: Json[], path: string): Variant[] {
  const added = { name: `${path} has an unknown member`, value: { ...good, unheardOf: 1 } };
  // A literal would set the prototype.
  const proto = { name: `${path} has __proto__`, value: Object.defineProperty({ ...good }, '__proto__', PROTO) };
  const changed = Object.entries(good).flatMap(([name, value]) => {
    const { [name]: _, ...without } = good;
    const schemas = branches.flatMap(({ properties }) => (isObject(properties) ? [properties[name] as Json] : []));
    const within = variantsOf(value, schemas.find(Boolean), `${path}/${name}`);
    return [
      { name: `${path}/${name} is missing`, value: without },
      ...within.map((variant) => ({ name: variant.name, value: { ...good, [name]: variant.value } })),
    ];
  });
  return [added, proto, ...changed];
}

/** Just within and just beyond each bound that the schema names. */
function outOfBounds(schema: Json, good: unknown, path: string): Variant[] {
  const bound = (name: string) => (typeof schema[name] === 'number' ? [schema[name]] : []);
  const numbers = [...bound('minimum').flatMap((n) => [n, n - 1]), ...bound('maximum').flatMap((n) => [n, n + 1])];
  const lengths = [
    ...bound('minLength').flatMap((n) => [n, n - 1]),
    ...bound('maxLength').flatMap((n) => [n, n + 1]),
  ].filter((length) => length >= 0 && length <= MOST_BUILT);
  const counts = [...bound('minItems').flatMap((n) => [n, n - 1]), ...bound('maxItems').flatMap((n) => [n, n + 1])];
  const items = Array.isArray(good) && good.length > 0 ? good : ['x'];
  return [
    ...numbers.map((value) => ({ name: `${path} is ${value}`, value })),
    ...lengths.map((length) => ({ name: `${path} has ${length} characters`, value: 'x'.repeat(length) })),
    ...counts
      .filter((count) => count >= 0)
      .map((count) => ({
        name: `${path} has ${count} items`,
        value: Array.from({ length: count }, (_, i) => items[i % items.length]),
      })),
  ];
}

/** The least and the most of what a schema allows, from its own examples where it has some. */
export function sampleOf(schema: Json | undefined): unknown {
  const [branch] = branchesOf(schema);
  if (!branch) return null;
  const { type, properties, items, const: only, minimum, minItems } = branch as Json & { enum?: unknown[] };
  const given = branch.example ?? (branch.examples as unknown[] | undefined)?.[0] ?? branch.default ?? only;
  if (given !== undefined) return given;
  const [first] = (branch.enum as unknown[] | undefined) ?? [];
  if (first !== undefined) return first;
  if (type === 'object') {
    const entries = Object.entries((properties ?? {}) as Record<string, Json>);
    return Object.fromEntries(entries.map(([name, each]) => [name, sampleOf(each)]));
  }
  if (type === 'array') return Number(minItems ?? 0) > 0 || isObject(items) ? [sampleOf(items as Json)] : [];
  if (type === 'integer' || type === 'number') return minimum ?? 1;
  if (type === 'boolean') return false;
  return branch.format === 'date-time' ? new Date(Date.now() + 3_600_000).toISOString() : 'x';
}

/** A value as the description of the document says to read it: without the nulls of fields that may be absent. */
export function withoutNulls(value: unknown, schema: Json | undefined): unknown {
  const branches = branchesOf(schema);
  if (Array.isArray(value)) {
    const items = { anyOf: branches.flatMap((branch) => (isObject(branch.items) ? [branch.items] : [])) };
    return value.map((each) => withoutNulls(each, items));
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).flatMap(([name, each]) => {
    const places = branches.map(({ properties, required }) => ({
      schema: (properties as Record<string, Json> | undefined)?.[name],
      required: (required as string[] | undefined)?.includes(name) ?? false,
    }));
    const schemas = places.flatMap((place) => (place.schema ? [place.schema] : []));
    const meansSomething = schemas
      .flatMap(branchesOf)
      .some(({ type }) => type === 'null' || [type].flat().includes('null'));
    const mayBeAbsent =
      schemas.length > 0 && !meansSomething && places.some((place) => !place.schema || !place.required);
    return each === null && mayBeAbsent ? [] : [[name, withoutNulls(each, { anyOf: schemas })]];
  });
  return Object.fromEntries(members);
}
