import { createWriteStream } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { showProgress } from '../progress.js';
import type { Log } from '../report.js';
import { runCommand } from '../run-command.js';

interface DownloadOptions {
  /** Where to put the program. */
  readonly target: string;
  readonly version: string;
  readonly log: Log;
  /** Answers with the address of the archive, as it does to the Temporal SDKs. */
  readonly origin?: string;
  /** The download fails after this long without a byte. */
  readonly stallMs?: number;
}

const downloadInfo = z.object({ archiveUrl: z.string(), fileToExtract: z.string() });

/**
 * Downloads the official Temporal CLI and puts it in place, completely or not at all.
 * @throws Error that says why: no connection, no progress for `stallMs`, or an unexpected answer.
 */
export const downloadTemporal = async (options: DownloadOptions): Promise<void> => {
  const { target, version, log, origin = 'https://temporal.download', stallMs = 20_000 } = options;
  const stall = new AbortController();
  const { signal } = stall;
  const timer = setTimeout(() => stall.abort(new Error(`no progress for ${stallMs / 1000} s`)), stallMs);
  const folder = `${target}.${process.pid}.download`;
  let receivedBytes = 0;
  const stopProgress = showProgress(log, () => `downloading the Temporal CLI: ${Math.round(receivedBytes / 1e6)} MB`);
  try {
    await mkdir(folder, { recursive: true });
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    const query = new URLSearchParams({ arch, platform, format: 'tar.gz' });
    const answer = await fetch(`${origin}/cli/${version}?${query}`, { signal });
    if (!answer.ok) throw new Error(`${origin} answered ${answer.status}`);
    const info = downloadInfo.safeParse(await answer.json());
    if (!info.success) throw new Error(`${origin} did not answer with the address of an archive`);
    const { archiveUrl, fileToExtract } = info.data;
    timer.refresh();
    const archive = await fetch(archiveUrl, { signal });
    if (!archive.ok || !archive.body) throw new Error(`${archiveUrl} answered ${archive.status}`);
    const count = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of chunks) {
        receivedBytes += chunk.length;
        timer.refresh();
        yield chunk;
      }
    };
    const file = join(folder, 'archive.tar.gz');
    await pipeline(Readable.fromWeb(archive.body), count, createWriteStream(file), { signal });
    await runCommand('tar', ['-xzf', file, '-C', folder, fileToExtract]);
    await chmod(join(folder, fileToExtract), 0o755);
    await rename(join(folder, fileToExtract), target);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // fetch itself says only "fetch failed".
    throw error instanceof Error && error.cause instanceof Error ? error.cause : error;
  } finally {
    clearTimeout(timer);
    stopProgress();
    await rm(folder, { recursive: true, force: true });
  }
};
