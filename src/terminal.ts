/** How to write to a person: with colour or without, and how wide. */
export interface Terminal {
  write(text: string): void;
  /** A terminal that can rewrite its last line. */
  isInteractive: boolean;
  hasColour: boolean;
  columns: number;
}

/** Standard output; colour only on a terminal and without NO_COLOR (no-color.org). */
export function standardOutput(environment: NodeJS.ProcessEnv): Terminal {
  const { stdout } = process;
  const isInteractive = stdout.isTTY === true;
  return {
    write: (text) => void stdout.write(text),
    isInteractive,
    hasColour: isInteractive && !environment.NO_COLOR && environment.TERM !== 'dumb',
    columns: Math.max(60, Math.min((isInteractive && stdout.columns) || 100, 110)),
  };
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Style = keyof typeof CODES;

export function styled(text: string, style: Style, { hasColour }: Pick<Terminal, 'hasColour'>): string {
  return hasColour ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/** A foreign text must not move the cursor, change colours or reorder what is read. Line breaks become spaces. */
export function printable(text: string): string {
  return text
    .replace(/\s*[\r\n\t]+\s*/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${(each.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Breaks at spaces; every line after the first is indented. Words longer than a line stay whole, to be copied. */
export function wrapped(text: string, indent: string, columns: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${indent}`);
}
