import { describe } from 'vitest';
import { outages, POSTGRES_AWAY } from './cases.ts';

describe('queues on Postgres, which is away', () => outages('postgres', POSTGRES_AWAY));
