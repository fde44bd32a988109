/**
 * Makes a fresh clone ready, before `npm start` and (with `--test`) before `npm test`. It runs when nothing is
 * installed yet, hence plain JavaScript without dependencies, and does only what is missing:
 *
 * 1. `npm ci`, when node_modules does not hold what package-lock.json says;
 * 2. `npm run build`, when a source is newer than dist/;
 * 3. a Redis server by the system's package manager, when none is found and REDIS_URL does not name one;
 * 4. with `--test`, Chromium for the browser test; without it that test is skipped.
 *
 * With NODE_ENV=production nothing is installed on the system, and development dependencies only where dist/ has
 * to be built. A deployment rather runs `npm ci && npm run build` once and starts `node dist/cli.js start`,
 * which needs none of this.
 */
const [major, minor] = process.versions.node.split('.').map(Number);

// The rest is only read after this check: an old Node would stumble over its syntax and never say this sentence.
if (major > 20 || (major === 20 && minor >= 19)) void import('./setup/steps.mjs').then((steps) => steps.run());
else {
  console.error(`Postroom needs Node.js 20.19 or newer, but this is ${process.versions.node}; see https://nodejs.org.`);
  process.exitCode = 1;
}
