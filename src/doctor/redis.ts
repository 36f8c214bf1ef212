import type { Fleet } from '../fleet/index.ts';
import { messageOf } from '../lib/errors.ts';
import { misnamed, type RedisFacts, readRedis } from '../queue/redis.ts';
import {
  compareVersions,
  type EnvironmentCheck,
  type Finding,
  fault,
  type GroundFound,
  ok,
  orWell,
  unknown,
  warning,
} from './check.ts';

/** BullMQ refuses older versions, and recommends 6.2. */
const OLDEST = '5.0.0';
const RECOMMENDED = '6.2.0';
/** With noeviction a full Redis rejects new jobs. */
const NEARLY_FULL = 0.85;

const PERSIST =
  'redis-cli CONFIG SET appendonly yes, and the same in redis.conf (or your provider’s settings)';

/** The queues' Redis, if any. */
export const redis: EnvironmentCheck = {
  name: 'Redis',
  async look({ config, queues }) {
    if (!config.REDIS_URL)
      return { findings: [ok('not used: the queues are stored in Postgres (REDIS_URL is not set)')] };
    let facts: RedisFacts;
    try {
      facts = await readRedis(config.REDIS_URL);
    } catch (error) {
      const says = messageOf(error);
      // it has answered
      if (/^[A-Z]+ /.test(says)) return refused(says);
      return {
        findings: [
          fault(
            `does not answer: ${says}`,
            'start it, or correct REDIS_URL (host, user, password, rediss:// for TLS)',
          ),
        ],
        away: { queues: 'Redis does not answer' },
      };
    }
    const wrong = misnamed(facts);
    // a Sentinel has none of Redis's settings
    if (wrong && facts.mode === 'sentinel')
      return { findings: [fault(wrong.says, wrong.remedy)], away: { queues: wrong.says } };
    const usable = await tryWhatJobsNeed(queues);
    return {
      ...usable,
      ...(wrong ? { away: { queues: wrong.says } } : {}),
      findings: orWell(
        [
          ...usable.findings,
          ...versionFindings(facts),
          ...placeFindings(facts),
          ...evictionFindings(facts),
          ...memoryFindings(facts),
        ],
        `Redis ${facts.version}, noeviction, append-only file on`,
      ),
    };
  },
};

async function tryWhatJobsNeed({ backend }: Fleet['queues']): Promise<GroundFound> {
  try {
    await backend.verify();
    return { findings: [] };
  } catch (error) {
    return refused(messageOf(error));
  }
}

/** Errors of Redis, and their remedies. */
const REMEDIES: readonly [RegExp, string][] = [
  [
    /NOPERM/,
    'grant the user of REDIS_URL the permissions that the queues need, including INFO: ACL SETUSER … +@all -@admin ~*',
  ],
  [/NOAUTH|WRONGPASS/, 'correct user and password in REDIS_URL'],
  [/READONLY|MASTERDOWN/, 'point REDIS_URL at the primary'],
  [/\bOOM\b/, 'raise maxmemory, and check which queue is growing: orderfleet status'],
  [/MISCONF/, 'its disk is full or not writable: free up space (see the Redis log)'],
  [/NOREPLICAS/, 'start its replicas, or lower min-replicas-to-write'],
  [
    /MOVED|CLUSTERDOWN/,
    'point REDIS_URL at the node that has the queues, and check that the cluster is complete',
  ],
  [/LOADING|BUSY/, 'wait until it is ready; to end a script that hangs: SCRIPT KILL'],
  [
    /unknown command/i,
    'point REDIS_URL at Redis itself: this is the port of a Sentinel, or a proxy without script support',
  ],
];

function refused(says: string): GroundFound {
  const remedy = REMEDIES.find(([words]) => words.test(says))?.[1] ?? 'check its log';
  return {
    findings: [fault(`does not accept jobs: ${says}`, remedy)],
    away: { queues: 'Redis does not accept jobs' },
  };
}

function versionFindings({ version }: RedisFacts): Finding[] {
  if (version === undefined) return [unknown('Its version is unknown')];
  const remedy = 'upgrade it to 7 or newer';
  if (compareVersions(version, OLDEST) < 0)
    return [fault(`This is Redis ${version}; the queues need ${OLDEST} or newer`, remedy)];
  return compareVersions(version, RECOMMENDED) < 0
    ? [warning(`This is Redis ${version}; ${RECOMMENDED} or newer is recommended for the queues`, remedy)]
    : [];
}

function placeFindings(facts: RedisFacts): Finding[] {
  const wrong = misnamed(facts);
  return [
    ...(wrong ? [fault(wrong.says, wrong.remedy)] : []),
    ...(!wrong && facts.mode === 'cluster' && !facts.asCluster
      ? [
          warning(
            'REDIS_URL names one node of a cluster: it has the queues now, but another node may have them after a failover',
            'REDIS_URL=redis+cluster://host1:6379,host2:6379 (with two or three of its nodes)',
          ),
        ]
      : []),
  ];
}

function evictionFindings({ evictionPolicy, appendOnly }: RedisFacts): Finding[] {
  const policy =
    evictionPolicy === undefined
      ? [unknown('Its eviction policy is unknown', 'check that maxmemory-policy is noeviction')]
      : evictionPolicy === 'noeviction'
        ? []
        : [
            fault(
              `Its eviction policy is ${evictionPolicy}: under memory pressure it deletes parts of jobs`,
              'redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf (or your provider’s settings)',
            ),
          ];
  const log =
    appendOnly === undefined
      ? [unknown('Unknown whether it keeps an append-only file')]
      : appendOnly
        ? []
        : [
            warning(
              'It keeps no append-only file: after a restart the queues are rebuilt from Postgres within two minutes, but AWB events that were just enqueued are lost',
              PERSIST,
            ),
          ];
  return [...policy, ...log];
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1048576)} MB`;

const memoryFindings = ({ usedBytes, maxBytes }: RedisFacts): Finding[] =>
  usedBytes !== undefined && maxBytes !== undefined && usedBytes > NEARLY_FULL * maxBytes
    ? [
        fault(
          `${megabytes(usedBytes)} of maxmemory ${megabytes(maxBytes)} are used: once it is full, no jobs can be added`,
          'raise maxmemory, and check which queue is growing: orderfleet status',
        ),
      ]
    : [];
