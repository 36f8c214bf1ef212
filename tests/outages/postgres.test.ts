import { describe } from 'vitest';
import { outages, POSTGRES } from './cases.ts';

describe('queues on Postgres', () => outages('postgres', POSTGRES));
