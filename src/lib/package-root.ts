import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function folderWith(name: string): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, name))) folder = dirname(folder);
  return folder;
}

/** The package's root directory. */
export const packageRoot = (): string => folderWith('package.json');

/** The folder with our `src`, `workers` and `sandbox`: of a checkout, or of a build (scripts/build.mjs), whose chunks lie elsewhere. */
export const codeRoot = (): string => folderWith('src');

/** Whether this is TypeScript, in a checkout, which runs through tsx. */
export const FROM_SOURCE = import.meta.filename.endsWith('.ts');
