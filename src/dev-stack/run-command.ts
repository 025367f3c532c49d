import { execa, type Options } from 'execa';

/**
 * Runs a command to its end, in exactly the environment `options.env`, else in this process's own.
 * @returns what it printed on standard output.
 * @throws Error that says how it failed, with the end of what it printed.
 */
export const runCommand = async (command: string, args: readonly string[], options: Options = {}): Promise<string> => {
  const result = await execa(command, args, { input: '', extendEnv: false, reject: false, ...options });
  const output = String(result.stdout ?? '');
  if (!result.failed) return output;
  const lastLines = `${output}\n${String(result.stderr ?? '')}`.trim().split('\n').slice(-6).join('\n');
  throw new Error([result.shortMessage, lastLines].filter(Boolean).join('\n'));
};
