import type { Examination, Step, StepStatus } from './gateway/examination.ts';
import { printable, type Style, styled, type Terminal, wrapped } from './terminal.ts';

const MARKS: Record<StepStatus, { word: string; style: Style }> = {
  ok: { word: 'ok', style: 'green' },
  warn: { word: 'warn', style: 'yellow' },
  fail: { word: 'FAIL', style: 'red' },
  skipped: { word: 'skip', style: 'dim' },
};
const TITLE_WIDTH = 24;
const INDENT = ' '.repeat(8);

/** Tells an examination as it goes: one line for each step, and what to do where something is wrong. */
export function examinationTeller(terminal: Terminal) {
  const { write, isInteractive } = terminal;
  const clear = () => isInteractive && write('\r\u001b[K');
  return {
    head({ id, address, smtp }: { id: string; address: string; smtp: { host: string; port: number } }): void {
      write(`\nExamining ${printable(`${id} (${address}) at ${smtp.host}:${smtp.port}`)}\n\n`);
    },
    /** What is being looked at; seen only where the line can be rewritten. */
    begins(title: string): void {
      clear();
      if (isInteractive) write(styled(`  ...   ${printable(title)}`, 'dim', terminal));
    },
    step(step: Step): void {
      clear();
      write(`${tellStep(step, terminal)}\n`);
    },
    summary(examination: Examination): void {
      write(`\n${tellSummary(examination, terminal)}\n`);
    },
  };
}

function tellStep({ status, title, finding, remedy, milliseconds }: Step, terminal: Terminal): string {
  const { word, style } = MARKS[status];
  const name = printable(title);
  const indent = INDENT + ' '.repeat(TITLE_WIDTH + 1);
  const took = milliseconds >= 10 ? ` (${milliseconds} ms)` : '';
  const text = `${printable(finding)}${took}`;
  const apart = name.length > TITLE_WIDTH ? `\n${indent}` : ' '.repeat(TITLE_WIDTH - name.length + 1);
  const told = wrapped(text, indent, terminal.columns);
  const head = `  ${styled(word.padEnd(5), style, terminal)} ${styled(name, 'bold', terminal)}${apart}`;
  const advice = remedy ? `\n${indent}${wrapped(`What to do: ${printable(remedy)}`, indent, terminal.columns)}` : '';
  return `${head}${status === 'skipped' ? styled(told, 'dim', terminal) : told}${advice}`;
}

/** How it ended, and of all that is wrong the one thing to begin with. */
function tellSummary({ steps, healthy, mailbox }: Examination, terminal: Terminal): string {
  const count = (status: StepStatus) => steps.filter((step) => step.status === status).length;
  const seconds = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 1000;
  const counts = `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed, ${count('skipped')} skipped, in ${seconds.toFixed(1)} s.`;
  const verdict = healthy ? styled('Nothing is broken', 'green', terminal) : styled('It cannot send', 'red', terminal);
  const first = steps.find(({ status }) => status === 'fail') ?? steps.find(({ status }) => status === 'warn');
  const head = `${mailbox}: ${verdict}. ${counts}`;
  if (!first) return head;
  const begin = healthy ? 'Worth a look' : 'Fix first';
  const advice = wrapped(
    `${begin}: ${printable(first.title)}. ${printable(first.remedy ?? first.finding)}`,
    '  ',
    terminal.columns,
  );
  return `${head}\n${styled(advice, 'bold', terminal)}`;
}
