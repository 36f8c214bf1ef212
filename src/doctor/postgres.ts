import { join } from 'node:path';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import type { Sql } from 'postgres';
import { NO_SESSIONS, poolingOf } from '../db/pooler.ts';
import { verifyDb } from '../db/verify.ts';
import { messageOf } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { packageRoot } from '../package-root.ts';
import { MOST_SKEW_MS } from '../queue/clock-guard.ts';
import {
  type Check,
  type Finding,
  fault,
  type GroundCheck,
  type GroundFound,
  orWell,
  warning,
} from './check.ts';
import { clockFinding } from './skew.ts';

const MINIMUM_MAJOR = 15;
/** Connections of one process at most: its pool (10), the quota's, a listener; the queues' pool where they live here. */
const PER_PROCESS = { redis: 12, postgres: 24 };
/** One of each worker: scheduler, temu, awb, tracking, alerts, web. */
const PROCESSES = 6;
/** Beyond this part of the connections the next deploy, which runs old and new side by side, may find none. */
const NEARLY_FULL = 0.8;

interface Server {
  version: string;
  major: number;
  most: number;
  reserved: number;
  used: number;
  /** The queues' schema is there, and our tables are. */
  queues: boolean;
  tables: boolean;
}

/** Postgres itself: whether it answers, its version, clock and connections. */
export const postgres: GroundCheck = {
  name: 'Postgres',
  async look(fleet) {
    const sql = fleet.db.$client;
    try {
      await sql`select 1`;
    } catch (error) {
      return {
        findings: [
          fault(
            `does not answer: ${messageOf(error)}`,
            'start it, or correct DATABASE_URL (address, user, password, database)',
          ),
        ],
        away: {
          database: 'Postgres does not answer',
          ...(fleet.queues.backend.kind === 'postgres' ? { queues: 'Postgres does not answer' } : {}),
        },
      };
    }
    const [server] = await sql<Server[]>`
      select current_setting('server_version') as version, current_setting('server_version_num')::int / 10000 as major,
        current_setting('max_connections')::int as most, current_setting('superuser_reserved_connections')::int as reserved,
        (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used,
        to_regclass('bullmq.migration') is not null as queues, to_regclass('samples') is not null as tables`;
    const findings = server
      ? [
          ...versionFindings(server),
          ...connectionFindings(server, fleet),
          ...(await clockFindings(sql, fleet)),
          ...(await poolerFindings(fleet)),
        ]
      : [];
    const writes = server?.tables ? await tryWrite(fleet) : [];
    const jobs = await tryJobs(fleet, server);
    return {
      findings: orWell(
        [...writes, ...jobs.findings, ...findings],
        `PostgreSQL ${server?.version}, ${server?.used} of ${server?.most} connections used`,
      ),
      ...(jobs.away ? { away: jobs.away } : {}),
    };
  },
};

/** `select 1` is answered by many a server that takes no order. */
async function tryWrite({ db }: Fleet): Promise<Finding[]> {
  try {
    await verifyDb(db);
    return [];
  } catch (error) {
    return [fault(`takes no writes: ${messageOf(error)}`, remedyOf(error))];
  }
}

/** By Postgres' codes: read-only, permission, full disk or memory, what is missing. */
const REMEDIES: readonly [RegExp, string][] = [
  [
    /^25006/,
    'point DATABASE_URL at the primary; or end the read-only mode: is its disk full, is default_transaction_read_only on?',
  ],
  [/^42501/, 'give the user of DATABASE_URL its rights: deploy/postgres has the statements'],
  [/^53/, 'make room: its disk, its memory or its connections are used up'],
  [/^42/, 'orderfleet migrate'],
];

const remedyOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REMEDIES.find(([codes]) => codes.test(code))?.[1] ?? 'see what its log says';
};

/** Where the queues live here: whether BullMQ's functions and tables serve us. */
async function tryJobs({ queues: { backend } }: Fleet, server: Server | undefined): Promise<GroundFound> {
  if (backend.kind !== 'postgres') return { findings: [] };
  if (!server?.queues) return { findings: [], away: { queues: 'the queues’ schema is missing' } };
  try {
    await backend.verify();
    return { findings: [] };
  } catch (error) {
    return {
      findings: [fault(`takes no jobs: ${messageOf(error)}`, remedyOf(error))],
      away: { queues: 'Postgres takes no jobs' },
    };
  }
}

const versionFindings = ({ version, major }: Server): Finding[] =>
  major < MINIMUM_MAJOR
    ? [fault(`This is PostgreSQL ${version}; ${MINIMUM_MAJOR} or newer is needed`, 'upgrade the server')]
    : [];

function connectionFindings({ most, reserved, used }: Server, { queues }: Fleet): Finding[] {
  const room = most - reserved;
  const needed = PROCESSES * PER_PROCESS[queues.backend.kind];
  const remedy = `raise max_connections (300 is what docker-compose.yml sets): alter system set max_connections = 300; then restart Postgres`;
  if (used > NEARLY_FULL * room)
    return [warning(`${used} of ${room} connections are used`, `${remedy}; or run fewer processes`)];
  return room < needed
    ? [warning(`There is room for ${room} connections; one process of each kind may open ${needed}`, remedy)]
    : [];
}

async function poolerFindings({ config }: Fleet): Promise<Finding[]> {
  return (await poolingOf(config.DATABASE_URL)) === 'transaction'
    ? [fault(NO_SESSIONS.says, NO_SESSIONS.remedy)]
    : [];
}

async function clockFindings(sql: Sql, { clock, queues }: Fleet): Promise<Finding[]> {
  const sentAt = clock();
  const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
  const ours = (sentAt + clock()) / 2;
  // workers take no jobs beyond it where the queues live here
  const faultMs = queues.backend.kind === 'postgres' ? MOST_SKEW_MS : 30_000;
  return row ? clockFinding('Postgres', row.now.getTime() - ours, { warnMs: 2_000, faultMs }) : [];
}

interface Applied {
  hash: string;
  /** Epoch milliseconds of the migration's making. */
  at: number;
}

/** Our tables: every migration of drizzle/ applied, and none that this program does not know (R6). */
export const migrations: Check = {
  name: 'Migrations',
  needs: ['database'],
  async look({ db, queues }) {
    const sql = db.$client;
    const ours = readMigrationFiles({ migrationsFolder: join(packageRoot(), 'drizzle') });
    const [there] = await sql<{ tables: boolean; queues: boolean }[]>`
      select to_regclass('drizzle.__drizzle_migrations') is not null as tables,
        to_regclass('bullmq.migration') is not null as queues`;
    const applied = there?.tables
      ? await sql<Applied[]>`select hash, created_at::float8 as at from drizzle.__drizzle_migrations`
      : [];
    const newest = Math.max(0, ...applied.map(({ at }) => at));
    const missing = ours.filter(({ folderMillis }) => folderMillis > newest).length;
    const unknown = applied.filter(({ at }) => !ours.some(({ folderMillis }) => folderMillis === at)).length;
    const migrate = 'orderfleet migrate';
    return orWell(
      [
        ...(missing > 0
          ? [
              fault(
                `${missing} of ${ours.length} migrations are not applied: tables or columns are missing`,
                migrate,
              ),
            ]
          : []),
        ...(unknown > 0
          ? [
              warning(
                `The database has ${unknown} migrations that this program does not know: it is older than the database`,
                'right while a deploy goes on; else update this program',
              ),
            ]
          : []),
        ...(queues.backend.kind === 'postgres' && !there?.queues
          ? [fault('The queues’ schema bullmq is missing', migrate)]
          : []),
      ],
      `all ${ours.length} applied`,
    );
  },
};
