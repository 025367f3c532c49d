import type { Command } from 'commander';
import type { HttpClient } from '../client/http-client.js';
import { connect } from './connect.js';
import { print, type Output } from './print.js';

/**
 * The action of a command that calls the API and prints the result.
 * @param call gets the command's arguments, then its options.
 */
export const apiAction =
  <Args extends unknown[]>(call: (api: HttpClient, ...args: Args) => Promise<Output>) =>
  async (...args: [...Args, ...unknown[]]): Promise<void> => {
    const command = args.at(-1) as Command;
    print(command, await call(connect(command), ...(args as unknown as Args)));
  };
