import { messageOf } from '../errors.ts';
import { misnamed, type RedisFacts, readRedis } from '../queue/redis.ts';
import {
  compareVersions,
  type Finding,
  fault,
  type GroundCheck,
  ok,
  orWell,
  unknown,
  warning,
} from './check.ts';

/** BullMQ refuses older ones, and wants 6.2 at least. */
const OLDEST = '5.0.0';
const RECOMMENDED = '6.2.0';
/** With noeviction a full Redis refuses new jobs. */
const NEARLY_FULL = 0.85;

const PERSIST =
  'redis-cli CONFIG SET appendonly yes, and the same in redis.conf (or your provider’s settings)';

/** The Redis of the queues, when there is one. */
export const redis: GroundCheck = {
  name: 'Redis',
  async look({ config }) {
    if (!config.REDIS_URL)
      return { findings: [ok('none: the queues live in Postgres (REDIS_URL is not set)')] };
    let facts: RedisFacts;
    try {
      facts = await readRedis(config.REDIS_URL);
    } catch (error) {
      const says = messageOf(error);
      return {
        findings: [
          /NOPERM/.test(says)
            ? unknown(
                `could not be looked at: ${says}`,
                'allow the command INFO to the user of REDIS_URL (ACL SETUSER … +info)',
              )
            : fault(
                `does not answer: ${says}`,
                'start it, or correct REDIS_URL (address, user, password, rediss:// for TLS)',
              ),
        ],
        ...(/NOPERM/.test(says) ? {} : { away: { queues: 'Redis does not answer' } }),
      };
    }
    const wrong = misnamed(facts);
    // a Sentinel has none of a Redis' settings
    if (wrong && facts.mode === 'sentinel')
      return { findings: [fault(wrong.says, wrong.remedy)], away: { queues: wrong.says } };
    return {
      ...(wrong ? { away: { queues: wrong.says } } : {}),
      findings: orWell(
        [
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

function versionFindings({ version }: RedisFacts): Finding[] {
  if (version === undefined) return [unknown('It does not say its version')];
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
    ...(facts.replica ? [fault('It is a read-only replica', 'point REDIS_URL at the primary')] : []),
    ...(wrong ? [fault(wrong.says, wrong.remedy)] : []),
    ...(!wrong && facts.mode === 'cluster' && !facts.asCluster
      ? [
          warning(
            'REDIS_URL names one node of a cluster: it has the queues now, after a failover another has them',
            'REDIS_URL=redis+cluster://host1:6379,host2:6379 (with two or three of its nodes)',
          ),
        ]
      : []),
  ];
}

function evictionFindings({ evictionPolicy, appendOnly }: RedisFacts): Finding[] {
  const policy =
    evictionPolicy === undefined
      ? [unknown('It does not say its eviction policy', 'check that maxmemory-policy is noeviction')]
      : evictionPolicy === 'noeviction'
        ? []
        : [
            fault(
              `Its eviction policy is ${evictionPolicy}: when memory runs short it drops parts of jobs`,
              'redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf (or your provider’s settings)',
            ),
          ];
  const log =
    appendOnly === undefined
      ? [unknown('It does not say whether it keeps an append-only file')]
      : appendOnly
        ? []
        : [
            warning(
              'It keeps no append-only file: after a restart the queues are rebuilt from Postgres within two minutes, AWB events that were just enqueued are lost',
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
          `${megabytes(usedBytes)} of maxmemory ${megabytes(maxBytes)} are used: when it is full, no job can be added`,
          'raise maxmemory, and look at which queue grows: orderfleet status',
        ),
      ]
    : [];
