import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const faults = process.env['FAULTS'] === '1';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Long crash runs have a command of their own: npm run test:faults.
    exclude: faults ? [] : ['test/faults/**'],
    // Temporal's native library and the signals that tests send want a process for each file.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    globalSetup: existsSync('test/support/global-setup.ts') ? ['test/support/global-setup.ts'] : [],
  },
});
