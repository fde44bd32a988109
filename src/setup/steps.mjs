import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { withLock } from './lock.mjs';
import { build, buildIsFresh, dependenciesAreInstalled, installDependencies, root } from './project.mjs';
import { SetupError } from './setup-error.mjs';
import { chromiumIsFound, installChromium, installRedis, redisIsFound, whyNoChromium } from './system.mjs';

const forTests = process.argv.includes('--test');
const settings = { ...(forTests ? {} : readEnvFile()), ...process.env };
const inProduction = settings.NODE_ENV === 'production';

/** Does what is missing; a fault that one sentence explains is told as that sentence, with exit code 1. */
export function run() {
  try {
    if (somethingIsMissing()) withLock(root, setUp);
    if (forTests) announceBrowser();
  } catch (error) {
    const unwritable = ['EROFS', 'EACCES', 'EPERM', 'ENOSPC'].includes(error.code);
    if (!unwritable && !(error instanceof SetupError)) throw error;
    console.error(`Postroom ${unwritable ? `cannot write to ${error.path ?? root} (${error.code}).` : error.message}`);
    process.exitCode = 1;
  }
}

function somethingIsMissing() {
  return dependenciesAreMissing() || !buildIsFresh() || redisIsMissing() || chromiumIsWanted();
}

/** Asks again what is missing, since another set-up may have done it while we waited for it. */
function setUp() {
  if (dependenciesAreMissing()) installDependencies();
  if (!buildIsFresh()) build();
  if (redisIsMissing()) installRedis();
  if (chromiumIsWanted()) installChromium();
}

/** A production machine with a finished build needs no compiler. */
function dependenciesAreMissing() {
  return !dependenciesAreInstalled(forTests || !inProduction || !buildIsFresh());
}

function redisIsMissing() {
  const isGiven = (settings.REDIS_URL || settings.REDIS_URL_FILE) && !forTests;
  return !inProduction && !isGiven && !redisIsFound();
}

function chromiumIsWanted() {
  return forTests && !chromiumIsFound() && whyNoChromium() === undefined;
}

/** The service reads a .env file beside package.json, where the environment has the last word. */
function readEnvFile() {
  const file = join(root, '.env');
  return existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
}

function announceBrowser() {
  if (chromiumIsFound()) return;
  const why = whyNoChromium() ?? 'there is no Chromium';
  console.log(`Postroom: the browser test will be skipped: ${why} (POSTROOM_CHROMIUM can name one).`);
}
