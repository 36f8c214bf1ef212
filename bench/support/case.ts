import type { Measured } from '../../docs/performance.ts';
import type { Build } from './builds.ts';
import type { Backend, Stage } from './stage.ts';

export interface Context {
  stage: Stage;
  backend: Backend;
  runs: number;
  quick: boolean;
  /** This checkout, built. */
  ours: Build;
  /** --against */
  theirs: Build | undefined;
  size(name: string): number;
}

/** What `npm run bench -- NAME` measures. */
export interface Case {
  name: string;
  /** One line of the help. */
  says: string;
  /** Measured only when it is named: it takes long, or much disk. */
  onlyByName?: true;
  backends: readonly Backend[];
  /** Sizes that options set (`--parcels 1000`), with their defaults and those of --quick. */
  sizes: Readonly<Record<string, { full: number; quick: number; says: string }>>;
  run(context: Context): Promise<Measured[]>;
}

export const BOTH: readonly Backend[] = ['redis', 'postgres'];
