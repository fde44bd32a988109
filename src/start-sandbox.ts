import { startSandbox } from './sandbox/sandbox.ts';

/** Runs only the stand-in for Microsoft 365, until a signal ends it; prints what a gateway needs to use it. */
export async function startSandboxAlone(): Promise<void> {
  const sandbox = await startSandbox({ httpPort: Number(process.env.POSTROOM_SANDBOX_PORT ?? 3001) });
  console.log(sandbox.http.url);
}
