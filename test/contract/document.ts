import { readFileSync } from 'node:fs';
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';

export type Json = Record<string, unknown>;

export interface Media {
  schema?: Json;
  examples?: Record<string, Example>;
}
export interface Example {
  value?: unknown;
  /** To one of the components. */
  $ref?: string;
}
export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Json;
}
export interface Answer {
  content?: Record<string, Media>;
  headers?: Json;
}
interface Declared {
  operationId: string;
  security?: unknown[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, Answer>;
}
export interface Operation extends Declared {
  method: string;
  /** With its `{parameters}`. */
  path: string;
  /** Where it is in the document. */
  pointer: string;
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

/** The committed document: what is in every caller's hands. */
export const document = JSON.parse(readFileSync('openapi/postroom.json', 'utf8')) as {
  paths: Record<string, Record<string, Declared>>;
  webhooks: Record<string, { post: Declared }>;
  components: { schemas: Record<string, Json>; examples: Record<string, Example> };
};

export const operations: Operation[] = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const declared = item[method];
    return declared ? [{ ...declared, method: method.toUpperCase(), path, pointer: at('paths', path, method) }] : [];
  }),
);

/** A JSON pointer as the fragment of a URI (RFC 6901 §6). */
export function at(...names: string[]): string {
  return names.map((name) => `/${encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');
}

/** @returns what is wrong with a value by the schema at this place of the document; empty if nothing is */
export type Validate = (pointer: string, value: unknown) => string;

/**
 * Checks values against the schemas of the document.
 *
 * @param closed members that no schema names are wrong too: answers may gain members, but not without the document
 */
export function validator(closed = false): Validate {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  // The package says `export default` and is CommonJS.
  (addFormatsModule as unknown as (ajv: Ajv2020) => void)(ajv);
  const schema = closed ? (closeObjects(document) as AnySchema) : document;
  ajv.addSchema(schema as AnySchema, 'postroom');
  return (pointer, value) => {
    const validate = ajv.getSchema(`postroom#${pointer}`);
    if (!validate) throw new Error(`There is no schema at ${pointer}.`);
    if (validate(value)) return '';
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join('; ');
  };
}

/** In what `allOf` joins, each part would refuse the other's members. */
function closeObjects(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closeObjects);
  if (!isObject(node)) return node;
  const closed: Json = Object.fromEntries(Object.entries(node).map(([name, each]) => [name, closeObjects(each)]));
  const isOpen = closed.additionalProperties === undefined || isEmpty(closed.additionalProperties);
  if (closed.type === 'object' && isObject(closed.properties) && isOpen) closed.additionalProperties = false;
  return closed;
}

const isEmpty = (node: unknown) => isObject(node) && Object.keys(node).length === 0;

export const isObject = (node: unknown): node is Json =>
  typeof node === 'object' && node !== null && !Array.isArray(node);

/** The schemas that a value at this place may be of: what is referred to, and each branch of a choice. */
export function branchesOf(schema: Json | undefined): Json[] {
  if (!schema) return [];
  const { $ref, anyOf, oneOf, allOf } = schema as { $ref?: string; anyOf?: Json[]; oneOf?: Json[]; allOf?: Json[] };
  if ($ref) return branchesOf(document.components.schemas[$ref.split('/').at(-1) ?? '']);
  const choices = anyOf ?? oneOf ?? allOf;
  return choices ? choices.flatMap(branchesOf) : [schema];
}
