import { createWriteStream } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { showProgress } from '../progress.js';
import { temporalCliVersion } from './programs.js';
import { runCommand } from '../run-command.js';
import type { reporterFor } from '../report.js';

interface DownloadOptions {
  /** Where the program is to be. */
  readonly target: string;
  readonly say: ReturnType<typeof reporterFor>;
  /** The address that answers with the archive's own, as the Temporal SDKs ask it. */
  readonly origin?: string;
  /** Given up after this long without a byte. */
  readonly stallMs?: number;
}

interface DownloadInfo {
  readonly archiveUrl: string;
  readonly fileToExtract: string;
}

const isDownloadInfo = (value: unknown): value is DownloadInfo =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Partial<DownloadInfo>).archiveUrl === 'string' &&
  typeof (value as Partial<DownloadInfo>).fileToExtract === 'string';

/**
 * Fetches the official Temporal CLI archive and puts its program in place, whole or not at all.
 * @throws Error that says why: no connection, no progress for `stallMs`, or an answer of another kind.
 */
export const downloadTemporal = async (options: DownloadOptions): Promise<void> => {
  const { target, say, origin = 'https://temporal.download', stallMs = 20_000 } = options;
  const stall = new AbortController();
  const arm = (): NodeJS.Timeout =>
    setTimeout(() => stall.abort(new Error(`no progress for ${stallMs / 1000} s`)), stallMs);
  let timer = arm();
  const alive = (): void => {
    clearTimeout(timer);
    timer = arm();
  };
  const folder = `${target}.${process.pid}.download`;
  let receivedBytes = 0;
  const endProgress = showProgress(say, () => `downloading the Temporal CLI: ${Math.round(receivedBytes / 1e6)} MB`);
  try {
    await mkdir(folder, { recursive: true });
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    const query = new URLSearchParams({ arch, platform, format: 'tar.gz' });
    const answer = await fetch(`${origin}/cli/${temporalCliVersion}?${query}`, { signal: stall.signal });
    if (!answer.ok) throw new Error(`${origin} answered ${answer.status}`);
    const info: unknown = await answer.json();
    if (!isDownloadInfo(info)) throw new Error(`${origin} answered something other than an archive's address`);
    alive();
    const archive = await fetch(info.archiveUrl, { signal: stall.signal });
    if (!archive.ok || !archive.body) throw new Error(`${info.archiveUrl} answered ${archive.status}`);
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        receivedBytes += chunk.length;
        alive();
        done(null, chunk);
      },
    });
    const file = join(folder, 'archive.tar.gz');
    await pipeline(Readable.fromWeb(archive.body), count, createWriteStream(file), { signal: stall.signal });
    const { code, stderr } = await runCommand('tar', ['-xzf', file, '-C', folder, info.fileToExtract]);
    if (code !== 0) throw new Error(`the archive could not be unpacked: ${stderr.trim()}`);
    await chmod(join(folder, info.fileToExtract), 0o755);
    await mkdir(dirname(target), { recursive: true });
    await rename(join(folder, info.fileToExtract), target);
  } catch (error) {
    // fetch says only "fetch failed"; the reason is in its cause.
    if (stall.signal.aborted) throw stall.signal.reason;
    throw error instanceof Error && error.cause instanceof Error ? error.cause : error;
  } finally {
    clearTimeout(timer);
    endProgress();
    await rm(folder, { recursive: true, force: true });
  }
};
