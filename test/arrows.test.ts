import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * What each folder of src may import, besides itself. The outside folders (http, queue, smtp, store, doctor, webhooks)
 * never
 * import each other; gateway names what it needs as types, and service hands it over.
 */
const ARROWS: Record<string, string[]> = {
  mail: [],
  failure: ['mail'],
  gateway: ['failure', 'mail'],
  store: ['gateway', 'failure', 'mail'],
  queue: ['gateway', 'failure', 'mail'],
  smtp: ['gateway', 'failure', 'mail'],
  http: ['gateway', 'failure', 'mail'],
  doctor: ['gateway', 'failure', 'mail'],
  webhooks: ['gateway', 'failure', 'mail'],
  sandbox: ['failure', 'make-folder', 'startup-error'],
};

/** The types of a failure name the server's words, and a message's record names its failure: types only, both ways. */
const TYPES_BOTH_WAYS = ['mail → failure'];

/** Outside libraries stop at their folder; `.` is the wiring at the top of src. */
const LIBRARIES: Record<string, string[]> = {
  fastify: ['http'],
  '@fastify/multipart': ['http'],
  '@fastify/swagger': ['http'],
  '@fastify/swagger-ui': ['http'],
  'fastify-zod-openapi': ['http'],
  bullmq: ['queue'],
  ioredis: ['queue', 'store', 'service.ts', 'sandbox'],
  jose: ['entra-keys.ts', 'entra-tokens.ts'],
  nodemailer: ['smtp'],
  oauth4webapi: ['smtp'],
  standardwebhooks: ['webhooks'],
  'ipaddr.js': ['webhooks'],
  zod: ['http', 'mailboxes-file.ts'],
  pino: ['logger.ts', 'service.ts', 'http'],
  'pino-pretty': ['logger.ts'],
  'postal-mime': ['sandbox'],
  selfsigned: ['sandbox'],
};

interface Import {
  file: string;
  target: string;
  typeOnly: boolean;
}

const SRC = join(import.meta.dirname, '..', 'src');

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const statements = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?[^;'"]*?from\s+['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g,
  );
  return [...statements].map(([, type, target, dynamic]) => ({
    file,
    target: target ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }));
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const imports = files.flatMap(importsOf);
const folderOf = (file: string) => file.split('/')[0] ?? '';

function forbidden({ file, target, typeOnly }: Import): boolean {
  const from = folderOf(file);
  const allowed = ARROWS[from];
  if (!target.startsWith('.') || !allowed) return false;
  const to = folderOf(relative(SRC, normalize(join(SRC, dirname(file), target)))).replace(/\.ts$/, '');
  if (to === from || allowed.includes(to)) return false;
  return !(typeOnly && TYPES_BOTH_WAYS.includes(`${from} → ${to}`));
}

function strayLibrary({ file, target }: Import): boolean {
  if (target.startsWith('.') || target.startsWith('node:')) return false;
  const name = target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
  const at = folderOf(file);
  return !LIBRARIES[name]?.includes(at);
}

const tell = ({ file, target }: Import) => `${file} imports ${target}`;

describe('the layout of src', () => {
  it('has imports to look at', () => {
    expect(imports.length).toBeGreaterThan(100);
  });

  it('lets imports run one way only', () => {
    expect(imports.filter(forbidden).map(tell)).toEqual([]);
  });

  it('lets outside libraries stop at their folder', () => {
    expect(imports.filter(strayLibrary).map(tell)).toEqual([]);
  });

  it('keeps the judgement out of the sandbox, so that no table is compared with itself', () => {
    const judged = imports.filter(
      ({ file, target }) => folderOf(file) === 'sandbox' && /failure\/(?!replies|known-reply)/.test(target),
    );
    expect(judged.map(tell)).toEqual([]);
  });

  it('loads the sandbox where one is started, and nowhere else', () => {
    const loading = imports.filter(
      ({ file, target, typeOnly }) => target.startsWith('./sandbox/') && !typeOnly && folderOf(file) !== 'sandbox',
    );
    expect([...new Set(loading.map(({ file }) => file))].toSorted()).toEqual([
      'start-sandbox.ts',
      'start.ts',
      'test-sandbox.ts',
    ]);
  });

  it('reads the environment in config and the command line only', () => {
    const readers = files.filter((file) => /process\.env\b/.test(readFileSync(join(SRC, file), 'utf8')));
    expect(readers.filter((file) => !['cli.ts', 'start.ts', 'start-sandbox.ts'].includes(file))).toEqual([]);
  });
});
