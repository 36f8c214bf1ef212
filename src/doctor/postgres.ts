import { getTableName, sql } from 'drizzle-orm';
import { appliedMigrations, migrationFiles } from '../db/migrate.ts';
import { NO_SESSIONS, poolingOf } from '../db/pooler.ts';
import { type RowOf, rows } from '../db/query.ts';
import { samples } from '../db/schema/index.ts';
import { verifyDb } from '../db/verify.ts';
import type { Fleet } from '../fleet/index.ts';
import { messageOf, withoutParameters } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { MOST_SKEW_MS } from '../queue/clock-guard.ts';
import {
  type Check,
  type EnvironmentCheck,
  type Finding,
  fault,
  type GroundFound,
  orWell,
  warning,
} from './check.ts';
import { clockFinding } from './clock-skew.ts';

const MINIMUM_MAJOR = 15;
/** Most connections of one process: its pool (10), the quota's, a listener, and the queues' pool if they are in Postgres. */
const PER_PROCESS = { redis: 12, postgres: 24 };
/** Processes: scheduler, temu, awb, tracking, alerts, web. */
const PROCESSES = 6;
/** Above this share the next deploy, which runs old and new processes side by side, may run out of connections. */
const NEARLY_FULL = 0.8;

const queuesAreThere = sql<boolean>`to_regclass('bullmq.migration') is not null`;
const SERVER = {
  version: sql<string>`current_setting('server_version')`,
  major: sql<number>`current_setting('server_version_num')::int / 10000`,
  most: sql<number>`current_setting('max_connections')::int`,
  reserved: sql<number>`current_setting('superuser_reserved_connections')::int`,
  used: sql<number>`(select count(*)::int from pg_stat_activity where backend_type = 'client backend')`,
  queues: queuesAreThere,
  tables: sql<boolean>`to_regclass(${getTableName(samples)}) is not null`,
};
type Server = RowOf<typeof SERVER>;

/** Postgres itself: connection, version, clock, number of connections. */
export const postgres: EnvironmentCheck = {
  name: 'Postgres',
  async look(fleet) {
    try {
      await fleet.db.execute(sql`select 1`);
    } catch (error) {
      return {
        findings: [
          fault(
            `does not answer: ${messageOf(error)}`,
            'start it, or correct DATABASE_URL (host, user, password, database)',
          ),
        ],
        away: {
          database: 'Postgres does not answer',
          ...(fleet.queues.backend.kind === 'postgres' ? { queues: 'Postgres does not answer' } : {}),
        },
      };
    }
    const [server] = await rows(fleet.db, SERVER, (list) => sql`select ${list}`);
    const findings = server
      ? [
          ...versionFindings(server),
          ...connectionFindings(server, fleet),
          ...(await clockFindings(fleet)),
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

/** A write, since `select 1` works on servers that accept no writes. */
async function tryWrite({ db }: Fleet): Promise<Finding[]> {
  try {
    await verifyDb(db);
    return [];
  } catch (error) {
    return [fault(`does not accept writes: ${messageOf(error)}`, remedyOf(error))];
  }
}

/** By SQLSTATE: read-only, permission, full disk or memory, missing tables. */
const REMEDIES: readonly [RegExp, string][] = [
  [
    /^25006/,
    'point DATABASE_URL at the primary, or end read-only mode: check for a full disk and default_transaction_read_only',
  ],
  [/^42501/, 'grant the user of DATABASE_URL its permissions: see deploy/postgres'],
  [/^53/, 'free up resources: it is out of disk, memory or connections'],
  [/^42/, 'orderfleet migrate'],
];

const remedyOf = (error: unknown): string => {
  const cause = withoutParameters(error);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return REMEDIES.find(([codes]) => codes.test(code))?.[1] ?? 'check its log';
};

/** With queues in Postgres: whether BullMQ's functions and tables work. */
async function tryJobs({ queues: { backend } }: Fleet, server: Server | undefined): Promise<GroundFound> {
  if (backend.kind !== 'postgres') return { findings: [] };
  if (!server?.queues) return { findings: [], away: { queues: 'the queue schema is missing' } };
  try {
    await backend.verify();
    return { findings: [] };
  } catch (error) {
    return {
      findings: [fault(`does not accept jobs: ${messageOf(error)}`, remedyOf(error))],
      away: { queues: 'Postgres does not accept jobs' },
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
  const remedy = `raise max_connections (docker-compose.yml sets 300): alter system set max_connections = 300; then restart Postgres`;
  if (used > NEARLY_FULL * room)
    return [warning(`${used} of ${room} connections are used`, `${remedy}; or run fewer processes`)];
  return room < needed
    ? [warning(`Only ${room} connections are available; one process of each kind may open ${needed}`, remedy)]
    : [];
}

async function poolerFindings({ config }: Fleet): Promise<Finding[]> {
  return (await poolingOf(config.DATABASE_URL)) === 'transaction'
    ? [fault(NO_SESSIONS.says, NO_SESSIONS.remedy)]
    : [];
}

async function clockFindings({ db, clock, queues }: Fleet): Promise<Finding[]> {
  const sentAt = clock();
  const fields = { nowMs: sql<number>`extract(epoch from clock_timestamp())::float8 * 1000` };
  const [row] = await rows(db, fields, (list) => sql`select ${list}`);
  const ours = (sentAt + clock()) / 2;
  // with queues in Postgres, workers take no jobs beyond this skew
  const faultMs = queues.backend.kind === 'postgres' ? MOST_SKEW_MS : 30_000;
  return row ? clockFinding('Postgres', row.nowMs - ours, { warnMs: 2_000, faultMs }) : [];
}

/** Every migration of drizzle/ is applied, and no unknown one (R6). */
export const migrations: Check = {
  name: 'Migrations',
  needs: ['database'],
  async look({ db, queues }) {
    const ours = migrationFiles().map(({ madeAt }) => madeAt);
    const [there] = await rows(db, { queues: queuesAreThere }, (list) => sql`select ${list}`);
    const applied = (await appliedMigrations(db)) ?? [];
    const newest = Math.max(0, ...applied);
    const missing = ours.filter((madeAt) => madeAt > newest).length;
    const unknown = applied.filter((madeAt) => !ours.includes(madeAt)).length;
    const migrate = 'orderfleet migrate';
    return orWell(
      [
        ...(missing > 0
          ? [
              fault(
                `${missing} of ${plural(ours.length, 'migration')} not applied: tables or columns are missing`,
                migrate,
              ),
            ]
          : []),
        ...(unknown > 0
          ? [
              warning(
                `The database has ${plural(unknown, 'migration')} unknown to this version: the program is older than the database`,
                'expected during a deploy; otherwise update this program',
              ),
            ]
          : []),
        ...(queues.backend.kind === 'postgres' && !there?.queues
          ? [fault('The queue schema bullmq is missing', migrate)]
          : []),
      ],
      `all ${ours.length} applied`,
    );
  },
};
