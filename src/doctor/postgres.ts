import { join } from 'node:path';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import type { Sql } from 'postgres';
import { NO_SESSIONS, poolingOf } from '../db/pooler.ts';
import { messageOf } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { packageRoot } from '../package-root.ts';
import { type Check, type Finding, fault, type GroundCheck, orWell, warning } from './check.ts';
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
  /** The queues' schema is there. */
  queues: boolean;
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
        to_regclass('bullmq.migration') is not null as queues`;
    const findings = server
      ? [
          ...versionFindings(server),
          ...connectionFindings(server, fleet),
          ...(await clockFindings(sql, fleet)),
          ...(await poolerFindings(fleet)),
        ]
      : [];
    return {
      findings: orWell(
        findings,
        `PostgreSQL ${server?.version}, ${server?.used} of ${server?.most} connections used`,
      ),
      ...(fleet.queues.backend.kind === 'postgres' && !server?.queues
        ? { away: { queues: 'the queues’ schema is missing' } }
        : {}),
    };
  },
};

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

async function clockFindings(sql: Sql, { clock }: Fleet): Promise<Finding[]> {
  const sentAt = clock();
  const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
  const ours = (sentAt + clock()) / 2;
  return row ? clockFinding('Postgres', row.now.getTime() - ours, { warnMs: 2_000, faultMs: 30_000 }) : [];
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
