import { TooManyCallsError } from '../errors.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import type { Session } from '../sessions/session.ts'
import type { HeldCall } from './call.ts'
import type { CallQueue, Job, QueuedJob } from './call-queue.ts'
import type { Calls } from './call-store.ts'
import type { KeptTask, TaskRecords } from './task-records.ts'

/** Makes the calls of a queue, as many at once as a worker may. */
export interface CallRunner {
  /** Looks for jobs, now or once the look before is done. */
  look: () => void
  /** Takes no more jobs. Those that were taken and not begun are another worker's. */
  stop: () => void
  /** Resolves when no call runs any more. */
  settled: () => Promise<void>
}

export interface CallRunnerOptions {
  queue: CallQueue
  calls: Pick<Calls, 'begin'>
  /** Calls that run as tasks, which other workers have left behind. */
  tasks: Pick<TaskRecords, 'due' | 'takeUp' | 'forget'>
  mostAtOnce: number
  /** Loads a session and takes a call slot of it; `null` when it has ended. Rejects with TooManyCallsError. */
  load: (job: Job) => Promise<Session | null>
  /** Makes a call that has begun, or goes on with its task, and settles it. */
  run: (call: { job: Job, session: Session, held: HeldCall, data: string, task?: KeptTask }) => Promise<void>
  onFailure: (error: unknown) => void
}

/** How long a call waits whose session has all its slots taken (ms): another session's calls go on meanwhile. */
const busyMs = 200

export function createCallRunner (options: CallRunnerOptions): CallRunner {
  const { queue, calls, tasks, mostAtOnce, load, run, onFailure } = options
  const running = new Set<Promise<void>>()
  let isStopped = false
  // An outage of Redis is reported elsewhere, and the next look comes soon.
  const look = oneAtATime(lookOnce)

  async function lookOnce (): Promise<void> {
    if (isStopped) return
    const free = mostAtOnce - running.size
    if (free <= 0) return
    for (const queued of await queue.take(free)) start(make(queued))
    for (const job of await tasks.due(Math.max(0, mostAtOnce - running.size))) start(goOn(job))
  }

  function start (making: Promise<void>): void {
    const work = making.catch(onFailure).finally(() => {
      running.delete(work)
      look()
    })
    running.add(work)
  }

  /** Goes on with the task of a call whose worker is not heard of any more. Others look again after a while. */
  async function goOn (job: Job): Promise<void> {
    let session: Session | null
    try {
      session = await load(job)
    } catch (error) {
      if (error instanceof TooManyCallsError) return
      throw error
    }
    if (session === null) return await tasks.forget(job)
    const taken = isStopped ? 'held' : await tasks.takeUp(session, job.call)
    if (typeof taken === 'object') return await run({ job, session, ...taken })
    await session.slot?.release()
    if (taken === 'over') await tasks.forget(job)
  }

  async function make (queued: QueuedJob): Promise<void> {
    const { job } = queued
    let session: Session | null
    try {
      session = await load(job)
    } catch (error) {
      if (!(error instanceof TooManyCallsError)) throw error
      await new Promise(resolve => setTimeout(resolve, busyMs))
      return await queue.defer(queued)
    }
    if (session === null) return await queue.remove(queued)
    if (isStopped) {
      await session.slot?.release()
      return await queue.defer(queued)
    }
    // Only one worker gets the call, however often its job is delivered.
    const begun = await calls.begin(session, job.call, { state: 'queued', kind: 'tool' })
    if (begun === null) {
      await session.slot?.release()
      return await queue.remove(queued)
    }
    await queue.remove(queued).catch(onFailure) // delivered again, it finds a call that has begun
    await run({ job, session, ...begun })
  }

  return {
    look,
    stop () {
      isStopped = true
    },
    async settled () {
      while (running.size > 0) await Promise.all(running)
    }
  }
}
