#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { StartupError } from './startup-error.ts';
import { type Stop, stopOnSignals } from './stop-signals.ts';
import { VERSION } from './version.ts';

const USAGE = `Usage: postroom <command>

  start      run the service with what the environment says (see .env.example);
             without a Redis or a mailbox, and not in production, it brings its own
  doctor     find out why a mailbox does not send, from DNS to Send As
  explain    say what an SMTP reply or an error means
  keys       create, list, rotate and revoke API keys
  sandbox    run only the stand-in for Microsoft 365
  openapi    print the OpenAPI document

  --help     print this
  --version  print the version`;

/** These read the words behind their name by themselves, and end with an exit code. */
const TOOLS: Record<string, (words: string[]) => Promise<number>> = {
  doctor: async (words) => {
    const [{ runDoctor }, { standardOutput }] = await Promise.all([import('./run-doctor.ts'), import('./terminal.ts')]);
    return runDoctor(words, process.env, standardOutput(process.env), complain);
  },
  keys: async (words) => {
    const [{ runKeys }, { standardOutput }] = await Promise.all([import('./run-keys.ts'), import('./terminal.ts')]);
    return runKeys(words, process.env, standardOutput(process.env), complain);
  },
  explain: async (words) => {
    const [{ runExplain }, { standardOutput }] = await Promise.all([
      import('./run-explain.ts'),
      import('./terminal.ts'),
    ]);
    return runExplain(words, process.stdin, standardOutput(process.env), complain);
  },
};

/** These run until a signal tells them to stop. */
const SERVICES: Record<string, (stop: Stop) => Promise<void>> = {
  start: async (stop) => (await import('./start.ts')).start(stop),
  sandbox: async (stop) => (await import('./start-sandbox.ts')).startSandboxAlone(stop),
};

const COMMANDS: Record<string, () => Promise<unknown>> = {
  openapi: async () => {
    const { buildOpenApi } = await import('./http/openapi.ts');
    process.stdout.write(`${JSON.stringify(await buildOpenApi(VERSION), null, 2)}\n`);
  },
};

function complain(sentence: string): void {
  console.error(`\n${sentence}\n`);
}

/** Not the 1 that means something was found. */
function stumbled(error: unknown): number {
  console.error(error);
  return 2;
}

async function main(): Promise<void> {
  const [tool = '', ...words] = process.argv.slice(2);
  const run = Object.hasOwn(TOOLS, tool) ? TOOLS[tool] : undefined;
  if (run) {
    loadEnvFile();
    // At once: a name server that never answers would keep the process alive.
    process.exit(await run(words).catch(stumbled));
  }
  const { values, positionals } = readArguments();
  if (values.version) return console.log(VERSION);
  if (values.help) return console.log(USAGE);
  const [name] = positionals;
  const service = name && Object.hasOwn(SERVICES, name) ? SERVICES[name] : undefined;
  if (service) {
    const stop = stopOnSignals();
    loadEnvFile();
    return service(stop);
  }
  const command = name && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new StartupError(name ? `There is no command "${name}".\n\n${USAGE}` : USAGE);
  loadEnvFile();
  await command();
}

function loadEnvFile(): void {
  if (existsSync('.env')) process.loadEnvFile('.env');
}

function readArguments() {
  try {
    const options = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new StartupError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

main().catch((error: unknown) => {
  if (error instanceof StartupError) complain(error.message);
  else console.error(error);
  process.exit(1);
});
