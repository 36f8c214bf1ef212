import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../fixtures/temu');

/** The text of a recorded answer, or of data beside it. */
export const recordedText = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');

export const recorded = <T = unknown>(file: string): T => JSON.parse(recordedText(file)) as T;
