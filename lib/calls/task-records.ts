import type { RedisClient } from '../redis/client.ts'
import type { AwaitCommand } from '../redis/command.ts'
import { defineScript } from '../redis/lua.ts'
import { openField } from '../sessions/field-encryption.ts'
import type { Session } from '../sessions/session.ts'
import { createLease, type HeldCall, leaseMs, parseHead } from './call.ts'
import type { Job } from './call-queue.ts'

/** The task of a server that a call is run as. */
export interface KeptTask {
  /** As its server wrote it: JSON text. */
  id: string
  /** When it must be over (ms since 1970). */
  until: number
}

/** The task of one call that this worker runs. */
export interface TaskRecord {
  /** The task that another worker has begun; absent where the call is made from its beginning. */
  readonly begun?: KeptTask
  /** Whether another worker could go on with the task. */
  readonly isKept: boolean
  /** Keeps the task in the call's record. Rejects with StoreUnavailableError. */
  keep: (task: KeptTask) => Promise<void>
  /** Says that this worker still asks for the task; nothing where none is kept. */
  renew: () => Promise<void>
  /** Lets another worker go on with it, at once. */
  letGo: () => Promise<void>
  /** Forgets a task that is over, or that nobody goes on with. Nothing where it was let go. */
  close: () => Promise<void>
}

/**
 * The tasks of calls, so that any worker can ask for them. The task itself is in its call's session, sealed. A sorted
 * set beside it has the calls that run as tasks, by when somebody is to look after them: their workers put that off
 * while they live.
 */
export interface TaskRecords {
  recordOf: (job: Job, session: Session, held: HeldCall, begun?: KeptTask) => TaskRecord
  /** Calls whose workers were not heard of for too long; one worker gets each for now. */
  due: (most: number) => Promise<Job[]>
  /**
   * Takes a call whose worker died, to go on with its task; its first caller gets it. Rejects with
   * SessionUnreadableError when its data do not open.
   */
  takeUp: (session: Session, id: string) => Promise<{ held: HeldCall, data: string, task: KeptTask } | 'held' | 'over'>
  forget: (job: Job) => Promise<void>
}

/** Workers look after a call so long after its lease was renewed for the last time: it has lapsed by then (ms). */
const watchMs = leaseMs + 500
/** After so long a call is looked after again that could not be taken up (ms). */
const againMs = 5_000

const taskField = (id: string) => `t:${id}`

export function createTaskRecords (
  client: RedisClient, { key, inTime }: { key: string, inTime: AwaitCommand }
): TaskRecords {
  const define = <Args extends readonly (string | number)[], Reply>(name: string) =>
    defineScript<Args, Reply>(client, new URL(`scripts/${name}.lua`, import.meta.url), args => [...args])
  const record = define<[meta: string, id: string, lease: string, task: string], 0 | 1>('record-task')
  const takeUp = define<
    [meta: string, id: string, lease: string, leaseMs: number],
    ['taken', head: string, data: string, task: string] | ['held'] | ['over']
  >('take-up-call')
  const letGo = define<[meta: string, id: string, lease: string], 0 | 1>('let-go-call')
  const watch = define<[call: string, afterMs: number | '', only: 'XX' | ''], 1>('watch-task')
  const due = define<[most: number, whileMs: number], string[]>('due-tasks')

  const nameOf = ({ call, session, client, notify }: Job) => JSON.stringify([call, session, client, notify])
  const forget = async (job: Job) => { await inTime(watch(key, [nameOf(job), '', ''])) }

  return {
    forget,

    recordOf (job, session, { id, lease }, begun) {
      let isLetGo = false
      const task: TaskRecord & { isKept: boolean } = {
        isKept: begun !== undefined,
        ...(begun !== undefined && { begun }),
        async keep (kept) {
          // In this order: a call that has a task and is watched by nobody would never be over.
          await inTime(watch(key, [nameOf(job), watchMs, '']))
          const text = session.seal.seal(taskField(id), JSON.stringify(kept))
          task.isKept = await inTime(record(session.key, [session.meta, id, lease, text]), session.id) === 1
        },
        async renew () {
          if (task.isKept) await inTime(watch(key, [nameOf(job), watchMs, 'XX']))
        },
        async letGo () {
          isLetGo = true
          await inTime(letGo(session.key, [session.meta, id, lease]), session.id)
          await inTime(watch(key, [nameOf(job), 0, 'XX']))
        },
        async close () {
          if (task.isKept && !isLetGo) await forget(job)
        }
      }
      return task
    },

    async due (most) {
      if (most === 0) return []
      return (await inTime(due(key, [most, againMs]))).map(text => {
        const [call, session, client, notify] =
          JSON.parse(text) as [string, string, string | null, string | null] // this service wrote it
        return { call, session, client, notify }
      })
    },

    async takeUp (session, id) {
      const lease = createLease()
      const reply = await inTime(takeUp(session.key, [session.meta, id, lease, leaseMs]), session.id)
      if (reply[0] !== 'taken') return reply[0]
      const [, head, data, task] = reply
      return {
        held: { id, lease, round: parseHead(head).round },
        data: openField(session.seal, `d:${id}`, data, session.id),
        task: JSON.parse(openField(session.seal, taskField(id), task, session.id)) as KeptTask
      }
    }
  }
}
