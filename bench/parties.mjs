/* How much of the processor everybody takes who takes part in a run with a fleet, and who has no time left. */
import { cpus } from 'node:os'
import { machineBusyMs, processorMs, processTree } from './processor.mjs'

const cores = cpus().length
/** The share of its time that a core, or a process on one thread, is busy when it has none left. */
const full = 0.9

/** Starts to look at the parties of a fleet. The function that it gives ends that, and says what each took (ms). */
export function startReading (fleet) {
  const groups = groupsOf(fleet)
  const startedAt = performance.now()
  const before = usesOf(groups)
  const machineBefore = machineBusyMs()
  return () => {
    const wallMs = performance.now() - startedAt
    const uses = usesOf(groups).map(([name, pid, time], index) => [name, pid, time - before[index][2]])
    return { wallMs, machineMs: machineBusyMs() - machineBefore, uses }
  }
}

/** The processes of each party. The client is this process. */
function groupsOf ({ workers, pids: { nginx, redis, remote } }) {
  const workerPids = workers.map(({ child }) => child.pid)
  return {
    client: [process.pid],
    nginx: processTree(nginx),
    workers: workerPids,
    redis: [redis],
    servers: [remote, ...workerPids.flatMap(pid => processTree(pid).slice(1))]
  }
}

const usesOf = groups =>
  Object.entries(groups).flatMap(([name, pids]) => pids.map(pid => [name, pid, processorMs(pid)]))

/** What several parts of a run took together. */
export function sumReadings (readings) {
  const sumOf = numbers => numbers.reduce((sum, number) => sum + number, 0)
  const wallMs = sumOf(readings.map(reading => reading.wallMs))
  const uses = readings.flatMap(reading => reading.uses)
  const parties = {}
  const busiest = {}
  for (const name of ['client', 'nginx', 'workers', 'redis', 'servers']) {
    const own = uses.filter(([party]) => party === name)
    parties[name] = sumOf(own.map(([, , time]) => time))
    const times = [...new Set(own.map(([, pid]) => pid))].map(pid =>
      sumOf(own.filter(([, other]) => other === pid).map(([, , time]) => time)))
    busiest[name] = Math.max(...times) / wallMs
  }
  const machineMs = sumOf(readings.map(reading => reading.machineMs))
  return {
    wallMs,
    parties,
    busiest,
    busiestWorker: busiest.workers,
    busyCores: machineMs / wallMs,
    otherCores: Math.max(0, (machineMs - sumOf(Object.values(parties))) / wallMs)
  }
}

const names = { client: 'the client', nginx: 'nginx', workers: 'the workers', redis: 'Redis', servers: 'the MCP servers' }

/** Who has no time left. */
export function limitOf ({ busiest, busyCores }) {
  const limits = Object.keys(names).filter(name => busiest[name] >= full).map(name => names[name])
  if (busyCores >= cores * full) limits.push(`the ${cores} cores of the machine`)
  return limits.length > 0 ? limits.join(', ') : 'nobody is busy'
}
