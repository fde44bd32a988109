import { readFileSync } from 'node:fs';

/** A fenced block of shell that calls curl, and the JSON block right after it, if it shows what is answered. */
export interface Example {
  line: number;
  shell: string;
  shows?: unknown;
}

/** What a document invites its reader to paste, in order. */
export function readExamples(path: string): Example[] {
  const examples: Example[] = [];
  let last: Example | undefined;
  for (const { language, text, line } of fencedBlocks(readFileSync(path, 'utf8'))) {
    if (language === 'json' && last) last.shows = JSON.parse(text);
    last = language === 'sh' && /^(?:\w+=\$\()?curl /m.test(text) ? { line, shell: text } : undefined;
    if (last) examples.push(last);
  }
  return examples;
}

function* fencedBlocks(markdown: string) {
  const fenced = /^( *)```(\w*)[^\n]*\n([\s\S]*?)^\1```/gm;
  for (const { 2: language = '', 3: text = '', index } of markdown.matchAll(fenced))
    yield { language, text, line: markdown.slice(0, index).split('\n').length };
}

/**
 * How the answer differs from what the document shows; undefined where it does not. The document may leave members out
 * and writes … for what is different every time.
 */
export function difference(shown: unknown, answered: unknown, at = ''): string | undefined {
  if (typeof shown === 'string' && shown.includes('…')) {
    const pattern = shown.split('…').map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const same = typeof answered === 'string' && new RegExp(`^${pattern.join('[\\s\\S]*')}$`).test(answered);
    return same ? undefined : `${at}: ${JSON.stringify(answered)} is not like ${JSON.stringify(shown)}`;
  }
  if (typeof shown !== 'object' || shown === null)
    return shown === answered ? undefined : `${at}: ${JSON.stringify(answered)} instead of ${JSON.stringify(shown)}`;
  if (typeof answered !== 'object' || answered === null) return `${at}: ${JSON.stringify(answered)} is no object`;
  for (const [name, value] of Object.entries(shown)) {
    const found = difference(value, (answered as Record<string, unknown>)[name], `${at}/${name}`);
    if (found) return found;
  }
  return undefined;
}
