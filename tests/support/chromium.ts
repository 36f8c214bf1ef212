import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The Chromium in PATH, if there is one. */
export async function findChromium(): Promise<string | undefined> {
  for (const dir of (process.env.PATH ?? '').split(path.delimiter).filter(Boolean))
    for (const name of NAMES) {
      const file = path.join(dir, name);
      if (await canRun(file)) return file;
    }
  return undefined;
}
const canRun = (file: string) =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

/** A browser that asks nobody but the page it is led to. */
export const startChromium = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), // root, as in a container, cannot have the sandbox
      ...['--disable-gpu', '--no-first-run', '--disable-background-networking'],
      ...['--disable-component-update', '--disable-sync'],
    ],
  });
