import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../lib/package-root.ts';
import { type Check, compareVersions, fault, ok } from './check.ts';

/** Node's version against package.json's engines, a single minimum. */
export const program: Check = {
  name: 'Node',
  async look() {
    const { engines } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    const { node } = process.versions;
    return compareVersions(node, engines.node) < 0
      ? [
          fault(
            `This is Node ${node}; Orderfleet needs ${engines.node}`,
            'install the current LTS release of Node',
          ),
        ]
      : [ok(`Node ${node}`)];
  },
};
