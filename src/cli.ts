#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { StartupError } from './startup-error.ts';
import { VERSION } from './version.ts';

const USAGE = `Usage: postroom <command>

  start      run the service with what the environment says (see .env.example);
             without a Redis or a mailbox, and not in production, it brings its own
  sandbox    run only the stand-in for Microsoft 365
  openapi    print the OpenAPI document

  --help     print this
  --version  print the version`;

const COMMANDS: Record<string, () => Promise<unknown>> = {
  start: async () => (await import('./start.ts')).start(),
  sandbox: async () => (await import('./start-sandbox.ts')).startSandboxAlone(),
  openapi: async () => {
    const { buildOpenApi } = await import('./http/openapi.ts');
    process.stdout.write(`${JSON.stringify(await buildOpenApi(VERSION), null, 2)}\n`);
  },
};

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  if (values.version) return console.log(VERSION);
  if (values.help) return console.log(USAGE);
  const [name] = positionals;
  const command = name && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new StartupError(name ? `There is no command "${name}".\n\n${USAGE}` : USAGE);
  if (existsSync('.env')) process.loadEnvFile('.env');
  await command();
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
  if (error instanceof StartupError) console.error(`\n${error.message}\n`);
  else console.error(error);
  process.exit(1);
});
