import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const USUAL_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/microsoft-edge',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
];

/** Where a Chromium is: what POSTROOM_CHROMIUM says, else a usual place; undefined if there is none. */
export function findChromium(): string | undefined {
  const given = process.env.POSTROOM_CHROMIUM;
  if (given) return given;
  return USUAL_PATHS.find((path) => existsSync(path));
}

/** It opens our pages and nothing else: no look-ups, updates or services of its own. */
const QUIET = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Headless. Without Chromium's own sandbox, which a container without user namespaces cannot give; it sees only us. */
export function launchBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: QUIET });
}
