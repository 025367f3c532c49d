import { defineConfig } from 'vitest/config';

/** Tests that need no server, or start servers of their own: they run without waiting for the shared ones. */
const alone = [
  'agent',
  'architecture',
  'cli',
  'config',
  'contracts',
  'dev-stack',
  'domain',
  'messaging',
  'telemetry',
].map((folder) => `test/${folder}/**/*.test.ts`);
/** Long crash runs have a command of their own, npm run test:faults; attacks, which measure, too: npm run test:attacks. */
const apart = [
  ...(process.env['FAULTS'] === '1' ? [] : ['test/faults/**']),
  ...(process.env['ATTACKS'] === '1' ? [] : ['test/attacks/**']),
];

export default defineConfig({
  test: {
    // Temporal's native library and the signals that tests send want a process for each file.
    pool: 'forks',
    // Of two cores many tests leave something over, since they wait for other processes; the crash runs do not.
    maxWorkers: process.env['FAULTS'] === '1' ? 2 : 3,
    // What a test prints is shown only when it fails: expected warnings of workers and servers would hide the rest.
    silent: 'passed-only',
    slowTestThreshold: 10_000,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'alone', include: alone } },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['test/**/*.test.ts'],
          exclude: [...alone, ...apart],
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
  },
});
