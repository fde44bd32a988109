import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { classifyText } from './failure/classify-text.ts';
import { CATEGORIES, type Failure } from './failure/failure.ts';
import { STAGES, type Stage } from './mail/reply.ts';
import { StartupError } from './startup-error.ts';
import { printable, styled, type Terminal, wrapped } from './terminal.ts';

const EXPLAIN_USAGE = `Usage: postroom explain <text> [--stage <stage>] [--json]

  Says what an SMTP reply, a log line or an error of Microsoft 365 or Entra ID means.
  Works offline.

  text       the words as you have them, in quotes; - reads them from standard input

  --stage    where it was met: ${STAGES.slice(0, 5).join(', ')},
             ${STAGES.slice(5).join(', ')}
  --json     the failure as the API tells it

Exit code: 0 explained, 2 nothing to explain.`;

/** `postroom explain`. @returns the exit code */
export async function runExplain(
  words: string[],
  input: NodeJS.ReadableStream,
  terminal: Terminal,
  complain: (sentence: string) => void,
): Promise<0 | 2> {
  try {
    const { pasted, stage, json, help } = await readWords(words, input);
    if (help) {
      terminal.write(`${EXPLAIN_USAGE}\n`);
      return 0;
    }
    const failure = classifyText(pasted, new Date(), stage);
    terminal.write(json ? `${JSON.stringify(failure, null, 2)}\n` : tellFailure(failure, terminal));
    return 0;
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    complain(error.message);
    return 2;
  }
}

async function readWords(words: string[], input: NodeJS.ReadableStream) {
  const flag = { type: 'boolean', default: false } as const;
  const options = { json: flag, help: { ...flag, short: 'h' }, stage: { type: 'string' } } as const;
  const { values, positionals } = parsed(() => parseArgs({ args: guarded(words), options, allowPositionals: true }));
  const { json, help } = values;
  const stage = STAGES.find((each) => each === values.stage);
  if (values.stage !== undefined && !stage)
    throw new StartupError(`There is no stage "${printable(values.stage)}".\n\n${EXPLAIN_USAGE}`);
  const pasted = positionals.length === 1 && positionals[0] === '-' ? await text(input) : positionals.join(' ');
  if (!help && pasted.trim() === '') throw new StartupError(EXPLAIN_USAGE);
  return { pasted, json, help, stage: stage as Stage | undefined };
}

/** Log lines like to begin with a dash: only what is one word can be an option. */
function guarded(words: string[]): string[] {
  const isOption = (word: string, index: number) =>
    /^--?[A-Za-z][\w-]*(=\S*)?$/.test(word) || words[index - 1] === '--stage';
  return [...words.filter(isOption), '--', ...words.filter((word, index) => !isOption(word, index))];
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new StartupError(`${(error as Error).message}\n\n${EXPLAIN_USAGE}`);
  }
}

const SCOPES: Record<Failure['scope'], string> = {
  message: 'this message only',
  recipient: 'this recipient only',
  mailbox: 'the whole mailbox',
  tenant: 'every mailbox of the tenant',
  connection: 'this connection',
  network: 'every mailbox at this server',
};
const PLANS: Record<Failure['plan'], string> = {
  never: 'It is not tried again.',
  backoff: 'It is tried again by itself, at growing intervals.',
  afterFix: 'It waits until somebody has corrected the cause, and then goes on by itself.',
  nextWindow: 'It waits until the limit’s window has rolled, and then goes on by itself.',
};
const INDENT = ' '.repeat(10);

function tellFailure(failure: Failure, terminal: Terminal): string {
  const { category, code, scope, plan, summary, remedy, docsUrl } = failure;
  const line = (label: string, value: string) =>
    `${styled(label.padEnd(10), 'bold', terminal)}${wrapped(printable(value), INDENT, terminal.columns)}\n`;
  return [
    `${wrapped(printable(summary), '', terminal.columns)}\n\n`,
    line('category', `${category}: ${CATEGORIES[category]}`),
    line('code', code),
    line('scope', `${scope}: stops ${SCOPES[scope]}.`),
    line('plan', `${plan}: ${PLANS[plan]}`),
    line('remedy', remedy),
    ...(docsUrl ? [line('docs', docsUrl)] : []),
  ].join('');
}
