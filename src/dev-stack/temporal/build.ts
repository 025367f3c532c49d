import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { showProgress } from '../progress.js';
import { compareVersions } from '../find-program.js';
import { temporalCliVersion } from './programs.js';
import { runCommand } from '../run-command.js';
import type { reporterFor } from '../report.js';

const oldestGo = '1.25';
/** Roughly what a first build compiles: only for the progress line. */
const expectedPackages = 1_500;

/**
 * Builds the Temporal CLI from its published Go module and puts it in place, whole or not at all.
 * @throws Error that says why: no Go, an older one than 1.25, or the end of the compiler's output.
 */
export const buildTemporal = async (options: {
  readonly target: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly say: ReturnType<typeof reporterFor>;
}): Promise<void> => {
  const { target, environment, say } = options;
  const go = await runCommand('go', ['env', 'GOVERSION'], { env: environment, timeoutMs: 20_000 }).catch(
    () => undefined,
  );
  const version = /go(\d+\.\d+(?:\.\d+)?)/.exec(go?.stdout ?? '')?.[1];
  if (!version) throw new Error('Go is not on PATH');
  if (compareVersions(version, oldestGo) < 0) throw new Error(`Go ${version} is older than ${oldestGo}`);
  const module = `github.com/temporalio/cli/cmd/temporal@${temporalCliVersion}`;
  const folder = `${target}.${process.pid}.build`;
  const seen = { downloaded: 0, compiled: 0 };
  say(`building ${module} with Go ${version}: some minutes, once for this user`);
  const endProgress = showProgress(say, () =>
    seen.compiled === 0
      ? `fetching the Temporal CLI's modules: ${seen.downloaded} so far`
      : `compiling the Temporal CLI: ${seen.compiled} of about ${Math.max(expectedPackages, seen.compiled)} packages`,
  );
  try {
    await mkdir(folder, { recursive: true });
    const result = await runCommand('go', ['install', '-v', '-trimpath', '-ldflags=-s -w', module], {
      cwd: folder,
      // GOFLAGS may carry -mod=vendor and the like, meant for another project.
      env: { ...environment, GOBIN: folder, GOFLAGS: undefined, GOOS: undefined, GOARCH: undefined },
      timeoutMs: 1_800_000,
      onLine: (line) => {
        if (line.startsWith('go: downloading')) seen.downloaded++;
        else if (!line.startsWith('go: ')) seen.compiled++;
      },
    });
    if (result.code !== 0) throw new Error(result.stderr.trim().split('\n').slice(-3).join(' '));
    await mkdir(dirname(target), { recursive: true });
    await rename(join(folder, process.platform === 'win32' ? 'temporal.exe' : 'temporal'), target);
  } finally {
    endProgress();
    await rm(folder, { recursive: true, force: true });
  }
};
