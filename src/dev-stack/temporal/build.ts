import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compareVersions } from 'compare-versions';
import { showProgress } from '../progress.js';
import type { Log } from '../report.js';
import { runCommand } from '../run-command.js';

const oldestGo = '1.25';
/** About what a first build compiles: for the progress line only. */
const expectedPackages = 1_500;

const assertUsableGo = async (environment: NodeJS.ProcessEnv): Promise<string> => {
  const output = await runCommand('go', ['env', 'GOVERSION'], { env: environment, timeout: 20_000 }).catch(() => '');
  const version = /go(\d+\.\d+(?:\.\d+)?)/.exec(output)?.[1];
  if (!version) throw new Error('Go is not on PATH');
  if (compareVersions(version, oldestGo) < 0) throw new Error(`Go ${version} is older than ${oldestGo}`);
  return version;
};

/**
 * Builds the Temporal CLI from its published Go module and puts it in place, completely or not at all.
 * @throws Error that says why: no Go, a version before 1.25, or the end of the compiler's output.
 */
export const buildTemporal = async (options: {
  readonly target: string;
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Log;
}): Promise<void> => {
  const { target, environment, log } = options;
  const goVersion = await assertUsableGo(environment);
  const module = `github.com/temporalio/cli/cmd/temporal@${options.version}`;
  const folder = `${target}.${process.pid}.build`;
  let downloaded = 0;
  let compiled = 0;
  const count = function* (line: unknown): Generator<unknown> {
    if (String(line).startsWith('go: downloading')) downloaded++;
    else if (!String(line).startsWith('go: ')) compiled++;
    yield line;
  };
  log(`building ${module} with Go ${goVersion}: takes some minutes, once for this user`);
  const stopProgress = showProgress(log, () =>
    compiled === 0
      ? `downloading the Temporal CLI's modules: ${downloaded} so far`
      : `compiling the Temporal CLI: ${compiled} of about ${Math.max(expectedPackages, compiled)} packages`,
  );
  try {
    await mkdir(folder, { recursive: true });
    await runCommand('go', ['install', '-v', '-trimpath', '-ldflags=-s -w', module], {
      cwd: folder,
      // GOFLAGS may contain flags for another project, such as -mod=vendor.
      env: { ...environment, GOBIN: folder, GOFLAGS: undefined, GOOS: undefined, GOARCH: undefined },
      timeout: 1_800_000,
      stderr: count,
    });
    await rename(join(folder, process.platform === 'win32' ? 'temporal.exe' : 'temporal'), target);
  } finally {
    stopProgress();
    await rm(folder, { recursive: true, force: true });
  }
};
