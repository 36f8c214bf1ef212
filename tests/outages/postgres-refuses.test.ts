import { describe } from 'vitest';
import { outages, POSTGRES_REFUSES } from './cases.ts';

describe('queues on Postgres, which refuses', () => outages('postgres', POSTGRES_REFUSES));
